// The part of LiteRT's C API that sample.c uses, as the library in the ai-edge-litert 2.3 wheel exports it. The wheel
// ships the library without its headers, so names and types were taken down from those in
// https://github.com/google-ai-edge/LiteRT, folder litert/c (Apache License 2.0). Other versions differ: in some,
// LiteRtCreateModelFromFile takes no environment.

#ifndef EXAMPLES_C_LITERT_LITERT_H_
#define EXAMPLES_C_LITERT_LITERT_H_

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef int LiteRtStatus;  // 0 is success

typedef struct LiteRtEnvironmentT *LiteRtEnvironment;
typedef struct LiteRtModelT *LiteRtModel;
typedef struct LiteRtOptionsT *LiteRtOptions;
typedef struct LiteRtCompiledModelT *LiteRtCompiledModel;
typedef struct LiteRtSignatureT *LiteRtSignature;
typedef struct LiteRtTensorT *LiteRtTensor;
typedef struct LiteRtTensorBufferT *LiteRtTensorBuffer;
typedef struct LiteRtTensorBufferRequirementsT *LiteRtTensorBufferRequirements;

enum { kLiteRtHwAcceleratorCpu = 1 };
enum { kLiteRtElementTypeFloat32 = 1, kLiteRtElementTypeInt32 = 2 };
enum { kLiteRtTensorBufferLockModeRead = 0, kLiteRtTensorBufferLockModeWrite = 1 };
enum { kLiteRtAnyTypeInt = 2 };
enum { kLiteRtEnvOptionTagAutoRegisterAccelerators = 24, kLiteRtEnvOptionTagMinLoggerSeverity = 25 };
enum { kLiteRtLogSeverityError = 3 };

typedef struct {
  int tag;
  struct {
    int type;
    union {
      int64_t int_value;
      const void *ptr_value;
    };
  } value;
} LiteRtEnvOption;

typedef struct {
  int element_type;
  struct {
    unsigned int rank : 7;
    bool has_strides : 1;
    int32_t dimensions[8];
    uint32_t strides[8];
  } layout;
} LiteRtRankedTensorType;

static_assert(sizeof(LiteRtRankedTensorType) == 72, "LiteRtRankedTensorType is laid out as in the library");

LiteRtStatus LiteRtCreateEnvironment(int num_options, const LiteRtEnvOption *options, LiteRtEnvironment *environment);
void LiteRtDestroyEnvironment(LiteRtEnvironment environment);

LiteRtStatus LiteRtCreateModelFromFile(LiteRtEnvironment environment, const char *path, LiteRtModel *model);
void LiteRtDestroyModel(LiteRtModel model);

LiteRtStatus LiteRtGetNumModelSignatures(LiteRtModel model, size_t *number);
LiteRtStatus LiteRtGetModelSignature(LiteRtModel model, size_t index, LiteRtSignature *signature);
LiteRtStatus LiteRtGetSignatureKey(LiteRtSignature signature, const char **key);
LiteRtStatus LiteRtGetNumSignatureInputs(LiteRtSignature signature, size_t *number);
LiteRtStatus LiteRtGetNumSignatureOutputs(LiteRtSignature signature, size_t *number);
LiteRtStatus LiteRtGetSignatureInputName(LiteRtSignature signature, size_t index, const char **name);
LiteRtStatus LiteRtGetSignatureOutputName(LiteRtSignature signature, size_t index, const char **name);
LiteRtStatus LiteRtGetSignatureInputTensorByIndex(LiteRtSignature signature, size_t index, LiteRtTensor *tensor);
LiteRtStatus LiteRtGetSignatureOutputTensorByIndex(LiteRtSignature signature, size_t index, LiteRtTensor *tensor);
LiteRtStatus LiteRtGetRankedTensorType(LiteRtTensor tensor, LiteRtRankedTensorType *type);

LiteRtStatus LiteRtCreateOptions(LiteRtOptions *options);
LiteRtStatus LiteRtSetOptionsHardwareAccelerators(LiteRtOptions options, int accelerators);
void LiteRtDestroyOptions(LiteRtOptions options);

LiteRtStatus LiteRtCreateCompiledModel(LiteRtEnvironment environment, LiteRtModel model, LiteRtOptions options,
                                       LiteRtCompiledModel *compiled);
LiteRtStatus LiteRtGetCompiledModelInputBufferRequirements(LiteRtCompiledModel compiled, size_t signature, size_t input,
                                                           LiteRtTensorBufferRequirements *requirements);
LiteRtStatus LiteRtGetCompiledModelOutputBufferRequirements(LiteRtCompiledModel compiled, size_t signature,
                                                            size_t output,
                                                            LiteRtTensorBufferRequirements *requirements);
LiteRtStatus LiteRtRunCompiledModel(LiteRtCompiledModel compiled, size_t signature, size_t num_inputs,
                                    LiteRtTensorBuffer *inputs, size_t num_outputs, LiteRtTensorBuffer *outputs);
void LiteRtDestroyCompiledModel(LiteRtCompiledModel compiled);

LiteRtStatus LiteRtCreateManagedTensorBufferFromRequirements(LiteRtEnvironment environment,
                                                             const LiteRtRankedTensorType *type,
                                                             LiteRtTensorBufferRequirements requirements,
                                                             LiteRtTensorBuffer *buffer);
LiteRtStatus LiteRtLockTensorBuffer(LiteRtTensorBuffer buffer, void **address, int mode);
LiteRtStatus LiteRtUnlockTensorBuffer(LiteRtTensorBuffer buffer);
void LiteRtDestroyTensorBuffer(LiteRtTensorBuffer buffer);

#endif  // EXAMPLES_C_LITERT_LITERT_H_
