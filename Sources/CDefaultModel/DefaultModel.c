#include "CDefaultModel.h"

// C23's #embed, which Swift's clang takes in other modes too: the bytes go into the library with no generated source between them, and a file
// that changes is compiled anew.
#pragma clang diagnostic ignored "-Wc23-extensions"

#define EMBEDDED_FILE(name) \
  sq_embedded_file name(void) { return (sq_embedded_file){name##_data, sizeof name##_data}; }

// Aligned at least as tensors of a mapped file are.
#define EMBEDDED_DATA(name) static const _Alignas(64) unsigned char name##_data[]

EMBEDDED_DATA(sq_default_model_onnx) = {
#embed "Resources/model.onnx"
};
EMBEDDED_FILE(sq_default_model_onnx)

EMBEDDED_DATA(sq_default_model_vocabulary) = {
#embed "Resources/vocab.txt"
};
EMBEDDED_FILE(sq_default_model_vocabulary)

EMBEDDED_DATA(sq_default_model_tokenizer_configuration) = {
#embed "Resources/tokenizer_config.json"
};
EMBEDDED_FILE(sq_default_model_tokenizer_configuration)
