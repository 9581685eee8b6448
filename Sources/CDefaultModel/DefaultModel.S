// The files of the embedded model as read-only data. The assembler finds them on the include path that
// Package.swift sets, so the bytes go from the file into the library with no generated source between them.

#if defined(__APPLE__)
  #define SYMBOL(name) _##name
  .section __TEXT,__const
#else
  #define SYMBOL(name) name
  .section .rodata
#endif

#define EMBED(name, file) \
  .globl SYMBOL(sq_default_model_##name##_data) ; \
  .globl SYMBOL(sq_default_model_##name##_data_end) ; \
  .balign 64 ; \
SYMBOL(sq_default_model_##name##_data): ; \
  .incbin file ; \
SYMBOL(sq_default_model_##name##_data_end): ; \
  .byte 0

EMBED(onnx, "model.onnx")
EMBED(vocabulary, "vocab.txt")
EMBED(tokenizer_configuration, "tokenizer_config.json")

#if defined(__linux__) && defined(__ELF__)
  .section .note.GNU-stack,"",%progbits
#endif
