// late MICROSECONDS NAMESPACE… makes a network device eth0 in each namespace and hands every frame that one sends on to all
// others, so much later: a long cable, for kernels without `tc … netem`. Says "ready" when the devices are there, and runs
// until it is killed.
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

/// Frames under way at most; while there are so many, senders wait.
#define CAPACITY 8192
#define MOST_HOSTS 16
#define FRAME_BYTES 1600

struct frame {
    int64_t due;
    ssize_t length;
    int sender;
    char bytes[FRAME_BYTES];
};

/// In the order of their coming, which is that of their going.
static struct frame line[CAPACITY];
static uint64_t come, gone;
static int devices[MOST_HOSTS];
static int device_count;
static int64_t delay;

static void give_up(const char *what) {
    fprintf(stderr, "late: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000 + time.tv_nsec;
}

/// A device in a namespace; this process returns to its own.
static int make_device(const char *name) {
    char path[256];
    snprintf(path, sizeof path, "/var/run/netns/%s", name);
    int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), there = open(path, O_RDONLY | O_CLOEXEC);
    if (home < 0 || there < 0 || setns(there, CLONE_NEWNET)) give_up(path);
    int device = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    struct ifreq request = {.ifr_name = "eth0", .ifr_flags = IFF_TAP | IFF_NO_PI};
    if (device < 0 || ioctl(device, TUNSETIFF, &request)) give_up("/dev/net/tun");
    if (setns(home, CLONE_NEWNET)) give_up("/proc/self/ns/net");
    close(home);
    close(there);
    return device;
}

static void take_from(int sender) {
    while (come - gone < CAPACITY) {
        struct frame *frame = &line[come % CAPACITY];
        frame->length = read(devices[sender], frame->bytes, sizeof frame->bytes);
        if (frame->length <= 0) return;
        frame->sender = sender;
        frame->due = nanoseconds() + delay;
        come++;
    }
}

static void hand_on(void) {
    for (; gone < come && line[gone % CAPACITY].due <= nanoseconds(); gone++) {
        const struct frame *frame = &line[gone % CAPACITY];
        for (int i = 0; i < device_count; i++) {
            // What a device has no room for is lost, as on a cable.
            if (i != frame->sender && write(devices[i], frame->bytes, (size_t)frame->length) < 0) continue;
        }
    }
}

int main(int count, char **arguments) {
    device_count = count - 2;
    if (device_count < 2 || device_count > MOST_HOSTS) {
        fprintf(stderr, "usage: late MICROSECONDS NAMESPACE NAMESPACE…\n");
        return 2;
    }
    delay = atoll(arguments[1]) * 1000;
    for (int i = 0; i < device_count; i++) devices[i] = make_device(arguments[i + 2]);
    prctl(PR_SET_TIMERSLACK, 1);
    puts("ready");
    fflush(stdout);
    for (;;) {
        struct pollfd waits[MOST_HOSTS];
        for (int i = 0; i < device_count; i++)
            waits[i] = (struct pollfd){.fd = come - gone < CAPACITY ? devices[i] : -1, .events = POLLIN};
        struct timespec rest = {0};
        if (come > gone) {
            int64_t wait = line[gone % CAPACITY].due - nanoseconds();
            if (wait > 0) rest = (struct timespec){wait / 1000000000, wait % 1000000000};
        }
        if (ppoll(waits, (nfds_t)device_count, come > gone ? &rest : NULL, NULL) < 0 && errno != EINTR) give_up("ppoll");
        for (int i = 0; i < device_count; i++)
            if (waits[i].revents & POLLIN) take_from(i);
        hand_on();
    }
}
