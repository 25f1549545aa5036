/* The entry point: argc and argv come from the kernel, so they are right without /proc. */
int apus_main(int argc, char **argv);

int main(int argc, char **argv) { return apus_main(argc, argv); }
