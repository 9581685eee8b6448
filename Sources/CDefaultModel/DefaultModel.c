#include "CDefaultModel.h"

// DefaultModel.S defines `<name>_data` and `<name>_data_end` for each file.
#define EMBEDDED_FILE(name)                                                \
  extern const unsigned char name##_data[], name##_data_end[];             \
  sq_embedded_file name(void) {                                            \
    return (sq_embedded_file){name##_data, (size_t)(name##_data_end - name##_data)}; \
  }

EMBEDDED_FILE(sq_default_model_onnx)
EMBEDDED_FILE(sq_default_model_vocabulary)
EMBEDDED_FILE(sq_default_model_tokenizer_configuration)
