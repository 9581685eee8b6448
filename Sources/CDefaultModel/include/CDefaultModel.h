/// The embedded model's files.
#ifndef CDEFAULTMODEL_H
#define CDEFAULTMODEL_H

#include <stddef.h>

typedef struct {
  const void *bytes;
  size_t count;
} sq_embedded_file;

sq_embedded_file sq_default_model_onnx(void);
sq_embedded_file sq_default_model_vocabulary(void);
sq_embedded_file sq_default_model_tokenizer_configuration(void);

#endif
