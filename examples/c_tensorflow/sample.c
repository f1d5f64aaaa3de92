// Draws one image with a seed from a SavedModel of this project, on TensorFlow's C library.

#include <tensorflow/c/c_api.h>

#include "../common.h"
#include "signature.h"

static void check(const TF_Status *status) {
  if (TF_GetCode(status) != TF_OK) fail("TensorFlow: %s", TF_Message(status));
}

static TF_Output find_tensor(TF_Graph *graph, const TensorName *name) {
  TF_Output tensor = {TF_GraphOperationByName(graph, name->operation), name->output};
  if (!tensor.oper) fail("The graph has no operation %s", name->operation);
  return tensor;
}

// An input of the signature has one number for each image, and this is a batch of one.
static TF_Tensor *make_input(const char *key, const Options *options) {
  const int64_t shape[] = {1};
  TF_DataType type = strcmp(key, "temperature") ? TF_INT32 : TF_FLOAT;
  TF_Tensor *tensor = TF_AllocateTensor(type, shape, 1, sizeof(int32_t));
  void *data = TF_TensorData(tensor);
  if (!strcmp(key, "seed")) {
    *(int32_t *)data = options->seed;
  } else if (!strcmp(key, "temperature")) {
    *(float *)data = options->temperature;
  } else if (!strcmp(key, "labels")) {
    *(int32_t *)data = options->label;
  } else {
    fail("Expected the inputs seed, temperature and labels. Received: %s", key);
  }
  return tensor;
}

// The image [1,H,W,C] becomes the picture; z [1,D] or codes [1,h,w] are printed.
static void show(const char *key, const TF_Tensor *tensor, const char *path) {
  void *data = TF_TensorData(tensor);
  if (!strcmp(key, "image")) {
    write_picture(path, data, (int)TF_Dim(tensor, 1), (int)TF_Dim(tensor, 2), (int)TF_Dim(tensor, 3));
  } else if (TF_TensorType(tensor) == TF_INT32) {
    print_codes(key, data, (int)TF_TensorElementCount(tensor));
  } else {
    print_latents(key, data, (int)TF_TensorElementCount(tensor));
  }
}

int main(int argc, char **argv) {
  Options options = parse_options(argc, argv);

  TF_Status *status = TF_NewStatus();
  TF_Graph *graph = TF_NewGraph();
  TF_SessionOptions *session_options = TF_NewSessionOptions();
  TF_Buffer *meta_graph = TF_NewBuffer();
  const char *tags[] = {"serve"};
  TF_Session *session =
      TF_LoadSessionFromSavedModel(session_options, NULL, options.model, tags, 1, graph, meta_graph, status);
  check(status);

  Bytes signature = find_signature((Bytes){meta_graph->data, meta_graph->length}, "sample");
  TensorName input_names[MAX_TENSORS], output_names[MAX_TENSORS];
  int num_inputs = read_tensor_names(signature, SIGNATURE_INPUTS, input_names);
  int num_outputs = read_tensor_names(signature, SIGNATURE_OUTPUTS, output_names);

  int conditional = 0;
  for (int i = 0; i < num_inputs; ++i) conditional |= !strcmp(input_names[i].key, "labels");
  check_label(&options, conditional);

  TF_Output inputs[MAX_TENSORS], outputs[MAX_TENSORS];
  TF_Tensor *input_values[MAX_TENSORS], *output_values[MAX_TENSORS];
  for (int i = 0; i < num_inputs; ++i) {
    inputs[i] = find_tensor(graph, &input_names[i]);
    input_values[i] = make_input(input_names[i].key, &options);
  }
  for (int i = 0; i < num_outputs; ++i) outputs[i] = find_tensor(graph, &output_names[i]);

  TF_SessionRun(session, NULL, inputs, input_values, num_inputs, outputs, output_values, num_outputs, NULL, 0, NULL,
                status);
  check(status);

  for (int i = 0; i < num_outputs; ++i) show(output_names[i].key, output_values[i], options.output);
  for (int i = 0; i < num_inputs; ++i) TF_DeleteTensor(input_values[i]);
  for (int i = 0; i < num_outputs; ++i) TF_DeleteTensor(output_values[i]);
  TF_DeleteSession(session, status);
  TF_DeleteSessionOptions(session_options);
  TF_DeleteBuffer(meta_graph);
  TF_DeleteGraph(graph);
  TF_DeleteStatus(status);
  return 0;
}
