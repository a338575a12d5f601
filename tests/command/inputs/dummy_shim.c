// Stands for libtendril-interpose.so: whoever is started with it can see this symbol.
int tendril_dummy_shim = 1;
