// MPI is optional: without it the plugin says what to install.
#if __has_include(<mpi.h>)
#include <mpi.h>
#endif
