#include <pthread.h>

#include "foretoken_system.h"

int foretoken_set_new_stacks(size_t bytes) {
    pthread_attr_t attributes;
    int error = pthread_attr_init(&attributes);
    if (error) return error;
    error = pthread_attr_setstacksize(&attributes, bytes);
    if (!error) error = pthread_setattr_default_np(&attributes);
    pthread_attr_destroy(&attributes);
    return error;
}
