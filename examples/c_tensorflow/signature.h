// Which tensors a signature of a SavedModel means, read from its serialized MetaGraphDef. In protobuf's wire format a
// message is a row of fields, each a number, a type and a value, so that a few lines do in place of a library.

#ifndef EXAMPLES_C_TENSORFLOW_SIGNATURE_H_
#define EXAMPLES_C_TENSORFLOW_SIGNATURE_H_

#include "../common.h"

enum { MAX_TENSORS = 8 };
// Fields of the messages in tensorflow/core/protobuf/meta_graph.proto.
enum { META_GRAPH_SIGNATURES = 5, SIGNATURE_INPUTS = 1, SIGNATURE_OUTPUTS = 2, TENSOR_INFO_NAME = 1 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2 };  // a map is a row of such messages

typedef struct {
  const uint8_t *data;
  size_t size;
} Bytes;

typedef struct {
  char key[64], operation[256];  // "image" and, for "StatefulPartitionedCall:1", what stands before the colon
  int output;                    // and after it
} TensorName;

static void skip(Bytes *message, uint64_t size) {
  if (size > message->size) fail("The MetaGraphDef ends too early");
  message->data += size;
  message->size -= size;
}

static uint64_t read_varint(Bytes *message) {
  uint64_t value = 0;
  for (int shift = 0; shift < 64; shift += 7) {
    skip(message, 1);
    uint8_t byte = message->data[-1];
    value |= (uint64_t)(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  fail("The MetaGraphDef holds a number of more than 64 bits");
  return 0;
}

// Takes the next string or message with this number off `message`; 0 if there is none.
static int next_field(Bytes *message, unsigned field, Bytes *value) {
  while (message->size) {
    uint64_t tag = read_varint(message), size = 0;
    switch (tag & 7) {
      case 0: read_varint(message); break;
      case 1: size = 8; break;
      case 2: size = read_varint(message); break;
      case 5: size = 4; break;
      default: fail("The MetaGraphDef has a field of type %d", (int)(tag & 7));
    }
    skip(message, size);
    *value = (Bytes){message->data - size, size};
    if (tag >> 3 == field && (tag & 7) == 2) return 1;
  }
  return 0;
}

static Bytes get_field(Bytes message, unsigned field) {
  Bytes value;
  return next_field(&message, field, &value) ? value : (Bytes){NULL, 0};
}

static void copy_text(char *target, size_t size, Bytes text) {
  if (text.size >= size) fail("A name in the signature has %zu letters", text.size);
  memcpy(target, text.data, text.size);
  target[text.size] = 0;
}

static Bytes find_signature(Bytes meta_graph, const char *wanted) {
  Bytes entry;
  while (next_field(&meta_graph, META_GRAPH_SIGNATURES, &entry)) {
    Bytes key = get_field(entry, ENTRY_KEY);
    if (key.size == strlen(wanted) && !memcmp(key.data, wanted, key.size)) return get_field(entry, ENTRY_VALUE);
  }
  fail("The model has no signature %s", wanted);
  return entry;
}

// Names of the signature's inputs or outputs, and how many there are.
static int read_tensor_names(Bytes signature, unsigned field, TensorName *names) {
  Bytes entry;
  int number = 0;
  for (; next_field(&signature, field, &entry); ++number) {
    if (number == MAX_TENSORS) fail("The signature has more tensors than expected");
    TensorName *name = &names[number];
    copy_text(name->key, sizeof name->key, get_field(entry, ENTRY_KEY));
    copy_text(name->operation, sizeof name->operation, get_field(get_field(entry, ENTRY_VALUE), TENSOR_INFO_NAME));
    char *colon = strrchr(name->operation, ':');
    if (!colon) fail("Expected a tensor as operation:output. Received: %s", name->operation);
    *colon = 0;
    name->output = atoi(colon + 1);
  }
  return number;
}

#endif  // EXAMPLES_C_TENSORFLOW_SIGNATURE_H_
