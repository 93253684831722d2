/* Reads many streams at once and parses no more than it must: the client of bench.compare.
 *
 *   reader PORT STREAMS ITEMS REQUEST [REPEAT [ws]]
 *
 * Sends the bytes of the file REQUEST on STREAMS connections to 127.0.0.1:PORT and reads until each answer has ended;
 * then, REPEAT times in all, does it again on new ones.
 * Every item contains one '~'. Where 16 decimal digits follow it, they are the time at which it was made, in
 * nanoseconds of CLOCK_MONOTONIC. With `ws` the request is a handshake and the first message behind it, which is sent
 * when the handshakes of all streams were answered; a stream is over when all its items have come. Prints one line of JSON; fails when a stream
 * is not complete. */

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, DIGITS = 16, TAIL = 5, PATIENCE_MS = 120 * 1000 };

struct stream {
    int fd;
    long items;
    double first;      /* seconds from the request to the first item; 0: none yet */
    int digits;        /* of a time stamp, read so far; -1: none begins here */
    int64_t stamp;
    char tail[TAIL];   /* the last bytes: where a chunked body ends */
};

static double *delays;
static size_t delay_count, delay_room;

static int64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void fail(const char *what) {
    fprintf(stderr, "reader: %s: %s\n", what, strerror(errno));
    exit(1);
}

static void delayed(double seconds) {
    if (delay_count == delay_room) {
        delay_room = delay_room ? 2 * delay_room : 4096;
        delays = realloc(delays, delay_room * sizeof *delays);
        if (delays == NULL) fail("memory");
    }
    delays[delay_count++] = seconds;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double quantile(double *values, size_t count, double q) {
    if (count == 0) return 0;
    qsort(values, count, sizeof *values, ascending);
    size_t at = (size_t)(q * (double)(count - 1) + 0.5);
    return values[at];
}

/* Counts the items of what was read, and reads the stamps. */
static void count(struct stream *s, const char *data, size_t size, int64_t at, int64_t began) {
    const char *end = data + size;
    while (data < end) {
        if (s->digits >= 0) { /* in a stamp, perhaps since the read before */
            if (*data >= '0' && *data <= '9') {
                s->stamp = 10 * s->stamp + (*data++ - '0');
                if (++s->digits == DIGITS) {
                    delayed((double)(at - s->stamp) / 1e9);
                    s->digits = -1;
                }
                continue;
            }
            s->digits = -1;
        }
        data = memchr(data, '~', (size_t)(end - data));
        if (data == NULL) return;
        data++;
        if (s->items++ == 0) s->first = (double)(at - began) / 1e9;
        s->digits = 0;
        s->stamp = 0;
    }
}

static int dial(int port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) != 0) fail("connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

/* The handshake of a WebSocket. */
static void upgrade(int fd, const char *request, size_t length) {
    char answer[4096];
    size_t size = 0;
    if (write(fd, request, length) != (ssize_t)length) fail("write");
    while (size < 4 || memcmp(answer + size - 4, "\r\n\r\n", 4) != 0)
        if (size == sizeof answer || read(fd, answer + size++, 1) != 1) fail("handshake");
}

struct load {
    int port, streams, websocket;
    long items, reads;
    char request[64 * 1024];
    size_t length, handshake; /* bytes of the request, and of those the ones that come first */
    double *firsts; /* of the streams that were read, in all rounds */
    size_t first_count;
};

/* One round; the seconds that it took. */
static double run(struct load *load) {
    static char buffer[BUFFER];
    struct stream *all = calloc((size_t)load->streams, sizeof *all);
    int poll = epoll_create1(0), open = load->streams;
    if (all == NULL || poll < 0) fail("start");
    for (int i = 0; i < load->streams; i++) {
        all[i].fd = dial(load->port);
        all[i].digits = -1;
        if (load->handshake) upgrade(all[i].fd, load->request, load->handshake);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        if (epoll_ctl(poll, EPOLL_CTL_ADD, all[i].fd, &event) != 0) fail("epoll");
    }
    int64_t began = now_ns();
    size_t length = load->length - load->handshake;
    for (int i = 0; i < load->streams; i++)
        if (write(all[i].fd, load->request + load->handshake, length) != (ssize_t)length) fail("write");

    while (open > 0) {
        struct epoll_event ready[256];
        int events = epoll_wait(poll, ready, 256, PATIENCE_MS);
        if (events == 0) errno = ETIMEDOUT;
        if (events <= 0) fail("wait");
        for (int i = 0; i < events; i++) {
            struct stream *s = ready[i].data.ptr;
            ssize_t size = read(s->fd, buffer, BUFFER);
            if (size < 0) fail("read");
            load->reads++;
            count(s, buffer, (size_t)size, now_ns(), began);
            int over = size == 0;
            if (load->websocket) {
                over |= s->items >= load->items;
            } else if (size >= TAIL) {
                memcpy(s->tail, buffer + size - TAIL, TAIL);
            } else if (size > 0) {
                memmove(s->tail, s->tail + size, (size_t)(TAIL - size));
                memcpy(s->tail + TAIL - size, buffer, (size_t)size);
            }
            over |= !load->websocket && memcmp(s->tail, "0\r\n\r\n", TAIL) == 0;
            if (over) {
                close(s->fd);
                open--;
            }
        }
    }
    double seconds = (double)(now_ns() - began) / 1e9;

    for (int i = 0; i < load->streams; i++) {
        if (all[i].items != load->items) {
            fprintf(stderr, "reader: stream %d has %ld items of %ld\n", i, all[i].items, load->items);
            exit(1);
        }
        load->firsts[load->first_count++] = all[i].first;
    }
    close(poll);
    free(all);
    return seconds;
}

int main(int argc, char **argv) {
    if (argc < 5) {
        fprintf(stderr, "usage: reader PORT STREAMS ITEMS REQUEST [REPEAT [ws]]\n");
        return 2;
    }
    static struct load load;
    int repeat = argc > 5 ? atoi(argv[5]) : 1;
    load.port = atoi(argv[1]);
    load.streams = atoi(argv[2]);
    load.items = atol(argv[3]);
    load.websocket = argc > 6;
    FILE *file = fopen(argv[4], "rb");
    if (file == NULL) fail(argv[4]);
    load.length = fread(load.request, 1, sizeof load.request, file);
    fclose(file);
    if (load.websocket) {
        char *end = strstr(load.request, "\r\n\r\n");
        if (end == NULL) fail("no handshake");
        load.handshake = (size_t)(end + 4 - load.request);
    }
    load.firsts = calloc((size_t)load.streams * (size_t)repeat, sizeof *load.firsts);
    if (load.firsts == NULL) fail("memory");

    double seconds = 0;
    for (int round = 0; round < repeat; round++) seconds += run(&load);

    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"seconds\": %.6f, \"cpu\": %.6f, \"reads\": %ld, \"first_p50\": %.7f, \"first_p99\": %.7f, "
           "\"delay_p50\": %.7f, \"delay_p99\": %.7f}\n",
           seconds, cpu, load.reads, quantile(load.firsts, load.first_count, 0.5),
           quantile(load.firsts, load.first_count, 0.99), quantile(delays, delay_count, 0.5),
           quantile(delays, delay_count, 0.99));
    return 0;
}
