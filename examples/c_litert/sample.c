// Draws one image with a seed from a .tflite of this project, on LiteRT's C library.

#include "../common.h"
#include "litert.h"

enum { MAX_TENSORS = 8 };

static void check(LiteRtStatus status, const char *call) {
  if (status) fail("LiteRT: status %d from %s", status, call);
}
#define OK(call) check((call), #call)

// CPU alone: the library would look for accelerators otherwise, and tell of each that is not there.
static LiteRtEnvironment make_environment(void) {
  LiteRtEnvOption options[2] = {
      {kLiteRtEnvOptionTagAutoRegisterAccelerators, {kLiteRtAnyTypeInt, {kLiteRtHwAcceleratorCpu}}},
      {kLiteRtEnvOptionTagMinLoggerSeverity, {kLiteRtAnyTypeInt, {kLiteRtLogSeverityError}}}};
  LiteRtEnvironment environment;
  OK(LiteRtCreateEnvironment(2, options, &environment));
  return environment;
}

static LiteRtCompiledModel compile(LiteRtEnvironment environment, LiteRtModel model) {
  LiteRtOptions options;
  LiteRtCompiledModel compiled;
  OK(LiteRtCreateOptions(&options));
  OK(LiteRtSetOptionsHardwareAccelerators(options, kLiteRtHwAcceleratorCpu));
  OK(LiteRtCreateCompiledModel(environment, model, options, &compiled));
  LiteRtDestroyOptions(options);
  return compiled;
}

static size_t find_signature(LiteRtModel model, const char *wanted, LiteRtSignature *signature) {
  size_t number;
  const char *key;
  OK(LiteRtGetNumModelSignatures(model, &number));
  for (size_t i = 0; i < number; ++i) {
    OK(LiteRtGetModelSignature(model, i, signature));
    OK(LiteRtGetSignatureKey(*signature, &key));
    if (!strcmp(key, wanted)) return i;
  }
  fail("The model has no signature %s", wanted);
  return 0;
}

// An input of the signature is a single number: a batch of one.
static void fill(LiteRtTensorBuffer buffer, const char *name, const Options *options) {
  void *address;
  OK(LiteRtLockTensorBuffer(buffer, &address, kLiteRtTensorBufferLockModeWrite));
  if (!strcmp(name, "seed")) {
    *(int32_t *)address = options->seed;
  } else if (!strcmp(name, "temperature")) {
    *(float *)address = options->temperature;
  } else if (!strcmp(name, "labels")) {
    *(int32_t *)address = options->label;
  } else {
    fail("Expected the inputs seed, temperature and labels. Received: %s", name);
  }
  OK(LiteRtUnlockTensorBuffer(buffer));
}

// The image [1,H,W,C] becomes the picture; z [1,D] or codes [1,h,w] are printed.
static void show(LiteRtTensorBuffer buffer, const char *name, const LiteRtRankedTensorType *type, const char *path) {
  void *address;
  int number = 1;
  const int32_t *dimensions = type->layout.dimensions;
  for (unsigned i = 0; i < type->layout.rank; ++i) number *= dimensions[i];
  OK(LiteRtLockTensorBuffer(buffer, &address, kLiteRtTensorBufferLockModeRead));
  if (!strcmp(name, "image")) {
    write_picture(path, address, dimensions[1], dimensions[2], dimensions[3]);
  } else if (type->element_type == kLiteRtElementTypeInt32) {
    print_codes(name, address, number);
  } else {
    print_latents(name, address, number);
  }
  OK(LiteRtUnlockTensorBuffer(buffer));
}

int main(int argc, char **argv) {
  Options options = parse_options(argc, argv);
  LiteRtEnvironment environment = make_environment();
  LiteRtModel model;
  if (LiteRtCreateModelFromFile(environment, options.model, &model)) fail("%s: not a TFLite model", options.model);
  LiteRtCompiledModel compiled = compile(environment, model);
  LiteRtSignature signature;
  size_t index = find_signature(model, "sample", &signature);

  size_t num_inputs, num_outputs;
  OK(LiteRtGetNumSignatureInputs(signature, &num_inputs));
  OK(LiteRtGetNumSignatureOutputs(signature, &num_outputs));
  if (num_inputs > MAX_TENSORS || num_outputs > MAX_TENSORS) fail("The signature has more tensors than expected");

  LiteRtTensor tensor;
  LiteRtTensorBufferRequirements requirements;
  const char *names[MAX_TENSORS];
  LiteRtRankedTensorType types[MAX_TENSORS];
  LiteRtTensorBuffer inputs[MAX_TENSORS], outputs[MAX_TENSORS];
  int conditional = 0;
  for (size_t i = 0; i < num_inputs; ++i) {
    OK(LiteRtGetSignatureInputName(signature, i, &names[i]));
    conditional |= !strcmp(names[i], "labels");
  }
  check_label(&options, conditional);
  for (size_t i = 0; i < num_inputs; ++i) {
    OK(LiteRtGetSignatureInputTensorByIndex(signature, i, &tensor));
    OK(LiteRtGetRankedTensorType(tensor, &types[i]));
    OK(LiteRtGetCompiledModelInputBufferRequirements(compiled, index, i, &requirements));
    OK(LiteRtCreateManagedTensorBufferFromRequirements(environment, &types[i], requirements, &inputs[i]));
    fill(inputs[i], names[i], &options);
  }
  for (size_t i = 0; i < num_outputs; ++i) {
    OK(LiteRtGetSignatureOutputName(signature, i, &names[i]));
    OK(LiteRtGetSignatureOutputTensorByIndex(signature, i, &tensor));
    OK(LiteRtGetRankedTensorType(tensor, &types[i]));
    OK(LiteRtGetCompiledModelOutputBufferRequirements(compiled, index, i, &requirements));
    OK(LiteRtCreateManagedTensorBufferFromRequirements(environment, &types[i], requirements, &outputs[i]));
  }

  OK(LiteRtRunCompiledModel(compiled, index, num_inputs, inputs, num_outputs, outputs));

  for (size_t i = 0; i < num_outputs; ++i) show(outputs[i], names[i], &types[i], options.output);
  for (size_t i = 0; i < num_inputs; ++i) LiteRtDestroyTensorBuffer(inputs[i]);
  for (size_t i = 0; i < num_outputs; ++i) LiteRtDestroyTensorBuffer(outputs[i]);
  LiteRtDestroyCompiledModel(compiled);
  LiteRtDestroyModel(model);
  LiteRtDestroyEnvironment(environment);
  return 0;
}
