// The plugin libforetoken-mpi.so: a run's hosts over MPI. The program loads it only when a launcher has started it.
#ifndef FORETOKEN_MPI_H
#define FORETOKEN_MPI_H

#include "foretoken_hosts.h"

#ifdef __cplusplus
extern "C" {
#endif

/// See `foretoken_hosts_opener`.
foretoken_hosts *foretoken_hosts_open(const char **reason);

#ifdef __cplusplus
}
#endif

#endif
