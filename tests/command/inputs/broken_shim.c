// A shim that the loader finds and cannot bind.
extern int tendril_symbol_that_nobody_defines(void);
__attribute__((constructor)) static void start(void) { tendril_symbol_that_nobody_defines(); }
