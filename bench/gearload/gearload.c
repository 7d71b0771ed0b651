/* A load generator for Gearman job servers: one thread, one epoll, as many connections as asked for.
 *
 * It must never be what is measured, so it does as little as a peer can: requests are made once and copied, answers are
 * recognised by their twelve bytes of header, payloads are skipped unread. What it found goes to standard output as one
 * JSON object. See README.md beside it for the commands.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum packet_type {
  CAN_DO = 1,
  PRE_SLEEP = 4,
  NOOP = 6,
  SUBMIT_JOB = 7,
  JOB_CREATED = 8,
  GRAB_JOB = 9,
  NO_JOB = 10,
  JOB_ASSIGN = 11,
  WORK_COMPLETE = 13,
  WORK_FAIL = 14,
  SUBMIT_JOB_BG = 18,
  ERROR_PACKET = 19,
  GRAB_JOB_UNIQ = 30,
  JOB_ASSIGN_UNIQ = 31,
};

enum { HEADER_BYTES = 12, MAX_EVENTS = 256, LARGEST_READ = 1 << 18 };

static const double MICROSECONDS = 1e6;

/* Bytes that grow at their end and are used up from their beginning. */
struct buffer {
  char *bytes;
  size_t begin, end, room;
};

struct connection {
  int fd;
  struct buffer in, out;
  /* Bytes of a packet's body that are still to come and that nobody wants. */
  size_t to_skip;
  bool waits_to_write;
  /* Requests sent and not answered, for a client; jobs taken, for a worker. */
  unsigned in_flight;
  /* When each request in flight left, in a ring; only the depth asked for is used. */
  double *left_at;
  unsigned oldest;
};

struct wish {
  const char *command, *host, *port, *function;
  long connections, jobs, depth, payload_bytes, prefetch, seconds, uniques, functions;
  bool is_foreground, is_latency_kept, grabs_uniques;
};

static struct wish wish = {
    .host = "127.0.0.1", .port = "4730", .function = "bench", .connections = 1, .jobs = 1000, .depth = 1,
    .payload_bytes = 16, .prefetch = 1, .seconds = 60, .functions = 1};
static struct connection *connections;
static int poller;
static long sent_jobs, done_jobs, failed_jobs;
static float *latencies_us;
static double began_at;
static volatile sig_atomic_t is_stopping;

static void stop(int signal_number) { (void)signal_number; is_stopping = 1; }

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...) {
  va_list words;
  va_start(words, format);
  fputs("gearload: ", stderr);
  vfprintf(stderr, format, words);
  fputc('\n', stderr);
  va_end(words);
  exit(1);
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double own_cpu_s(void) {
  struct rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / MICROSECONDS;
}

/* ------------------------------------------------------------------ bytes */

static char *room_for(struct buffer *buffer, size_t length) {
  if (buffer->begin == buffer->end) buffer->begin = buffer->end = 0;
  if (buffer->room - buffer->end < length) {
    size_t used = buffer->end - buffer->begin;
    if (buffer->begin) memmove(buffer->bytes, buffer->bytes + buffer->begin, used);
    buffer->begin = 0;
    buffer->end = used;
    if (buffer->room - used < length) {
      buffer->room = (used + length) * 2;
      buffer->bytes = realloc(buffer->bytes, buffer->room);
      if (!buffer->bytes) die("out of memory");
    }
  }
  return buffer->bytes + buffer->end;
}

static void append(struct buffer *buffer, const void *bytes, size_t length) {
  memcpy(room_for(buffer, length), bytes, length);
  buffer->end += length;
}

static void append_header(struct buffer *buffer, enum packet_type type, size_t length) {
  uint32_t header[3] = {0, htonl((uint32_t)type), htonl((uint32_t)length)};
  memcpy(header, "\0REQ", 4);
  append(buffer, header, HEADER_BYTES);
}

static void append_empty(struct connection *peer, enum packet_type type) { append_header(&peer->out, type, 0); }

static void append_word(struct connection *peer, enum packet_type type, const char *word) {
  append_header(&peer->out, type, strlen(word));
  append(&peer->out, word, strlen(word));
}

/* One function, or as many as asked for, by number. */
static const char *function_name(long number) {
  static char name[256];
  if (wish.functions == 1) return wish.function;
  snprintf(name, sizeof name, "%s%ld", wish.function, number % wish.functions);
  return name;
}

static void append_submit(struct connection *peer) {
  static char *payload;
  char unique[32] = "";
  if (!payload) {
    payload = malloc((size_t)wish.payload_bytes + 1);
    if (!payload) die("out of memory");
    memset(payload, 'x', (size_t)wish.payload_bytes);
  }
  if (wish.uniques) snprintf(unique, sizeof unique, "u%ld", sent_jobs);
  const char *function = function_name(sent_jobs);
  size_t function_length = strlen(function) + 1, unique_length = strlen(unique) + 1;
  append_header(&peer->out, wish.is_foreground ? SUBMIT_JOB : SUBMIT_JOB_BG,
                function_length + unique_length + (size_t)wish.payload_bytes);
  append(&peer->out, function, function_length);
  append(&peer->out, unique, unique_length);
  append(&peer->out, payload, (size_t)wish.payload_bytes);
}

/* ------------------------------------------------------------------ sockets */

static int connect_to_server(void) {
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found;
  int failure = getaddrinfo(wish.host, wish.port, &hints, &found);
  if (failure) die("%s:%s: %s", wish.host, wish.port, gai_strerror(failure));
  int fd = socket(found->ai_family, found->ai_socktype, found->ai_protocol);
  if (fd < 0 || connect(fd, found->ai_addr, found->ai_addrlen) < 0)
    die("cannot connect to %s:%s: %s", wish.host, wish.port, strerror(errno));
  freeaddrinfo(found);
  int yes = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  return fd;
}

static void watch(struct connection *peer, int operation) {
  struct epoll_event event = {.events = EPOLLIN | (peer->waits_to_write ? EPOLLOUT : 0), .data.ptr = peer};
  if (epoll_ctl(poller, operation, peer->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
}

static void flush(struct connection *peer) {
  struct buffer *out = &peer->out;
  while (out->begin < out->end) {
    ssize_t written = send(peer->fd, out->bytes + out->begin, out->end - out->begin, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (written < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) die("send: %s", strerror(errno));
    out->begin += (size_t)written;
  }
  bool must_wait = out->begin < out->end;
  if (must_wait != peer->waits_to_write) {
    peer->waits_to_write = must_wait;
    watch(peer, EPOLL_CTL_MOD);
  }
}

/* ------------------------------------------------------------------ a client */

static void submit_more(struct connection *peer) {
  while ((long)peer->in_flight < wish.depth && sent_jobs < wish.jobs) {
    append_submit(peer);
    sent_jobs++;
    if (wish.is_latency_kept) peer->left_at[(peer->oldest + peer->in_flight) % (unsigned)wish.depth] = now();
    peer->in_flight++;
  }
}

static void request_done(struct connection *peer) {
  if (wish.is_latency_kept) {
    latencies_us[done_jobs] = (float)((now() - peer->left_at[peer->oldest]) * MICROSECONDS);
    peer->oldest = (peer->oldest + 1) % (unsigned)wish.depth;
  }
  peer->in_flight--;
  done_jobs++;
}

static void client_heard(struct connection *peer, uint32_t type) {
  switch (type) {
    case JOB_CREATED:
      if (!wish.is_foreground) request_done(peer);
      break;
    case WORK_COMPLETE:
      request_done(peer);
      break;
    case WORK_FAIL:
    case ERROR_PACKET:
      failed_jobs++;
      request_done(peer);
      break;
    default:
      die("a client got packet %u", type);
  }
}

/* ------------------------------------------------------------------ a worker */

static void grab_more(struct connection *peer) {
  while ((long)peer->in_flight < wish.prefetch) {
    append_empty(peer, wish.grabs_uniques ? GRAB_JOB_UNIQ : GRAB_JOB);
    peer->in_flight++;
  }
}

static void complete(struct connection *peer, const char *handle, size_t length) {
  append_header(&peer->out, WORK_COMPLETE, length + 1);
  append(&peer->out, handle, length);
  append(&peer->out, "", 1);
}

static void worker_heard(struct connection *peer, uint32_t type, const char *body, size_t length) {
  switch (type) {
    case JOB_ASSIGN:
    case JOB_ASSIGN_UNIQ: {
      peer->in_flight--;
      complete(peer, body, strnlen(body, length));
      done_jobs++;
      if (!wish.jobs || done_jobs < wish.jobs) grab_more(peer);
      break;
    }
    case NO_JOB:
      /* The other grabs in flight will find nothing either: sleep after the last of them. */
      if (--peer->in_flight == 0) append_empty(peer, PRE_SLEEP);
      break;
    case NOOP:
      grab_more(peer);
      break;
    default:
      die("a worker got packet %u", type);
  }
}

/* ------------------------------------------------------------------ what both do */

/* Bytes of a body that are read before the packet counts as heard: a worker needs the handle. */
static size_t wanted_of(uint32_t type, size_t length) {
  enum { LONGEST_HANDLE = 512 };
  return type == JOB_ASSIGN || type == JOB_ASSIGN_UNIQ ? (length < LONGEST_HANDLE ? length : LONGEST_HANDLE) : 0;
}

static void read_packets(struct connection *peer, bool is_worker) {
  struct buffer *in = &peer->in;
  for (;;) {
    size_t have = in->end - in->begin;
    if (peer->to_skip) {
      size_t skipped = have < peer->to_skip ? have : peer->to_skip;
      in->begin += skipped;
      peer->to_skip -= skipped;
      if (peer->to_skip) return;
      continue;
    }
    if (have < HEADER_BYTES) return;
    uint32_t header[3];
    memcpy(header, in->bytes + in->begin, HEADER_BYTES);
    uint32_t type = ntohl(header[1]);
    size_t length = ntohl(header[2]), wanted = wanted_of(type, length);
    if (memcmp(header, "\0RES", 4)) die("this is no Gearman packet");
    if (have < HEADER_BYTES + wanted) return;
    const char *body = in->bytes + in->begin + HEADER_BYTES;
    if (is_worker)
      worker_heard(peer, type, body, wanted);
    else
      client_heard(peer, type);
    in->begin += HEADER_BYTES;
    peer->to_skip = length;
  }
}

static void receive(struct connection *peer, bool is_worker) {
  char *room = room_for(&peer->in, LARGEST_READ);
  ssize_t length = recv(peer->fd, room, LARGEST_READ, MSG_DONTWAIT);
  if (length < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
  if (length <= 0) die("the server closed the connection: %s", length ? strerror(errno) : "end of stream");
  peer->in.end += (size_t)length;
  read_packets(peer, is_worker);
}

static bool is_over(double deadline) {
  return is_stopping || (wish.jobs && done_jobs >= wish.jobs) || now() > deadline;
}

static void run(bool is_worker) {
  struct epoll_event events[MAX_EVENTS];
  double deadline = now() + (double)wish.seconds;
  while (!is_over(deadline)) {
    int count = epoll_wait(poller, events, MAX_EVENTS, 200);
    for (int i = 0; i < count; i++) {
      struct connection *peer = events[i].data.ptr;
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(peer, is_worker);
      if (!is_worker) submit_more(peer);
      flush(peer);
    }
  }
  /* The last results must have left before the connections close. */
  for (long i = 0; i < wish.connections; i++) flush(&connections[i]);
}

static void open_connections(bool is_worker) {
  connections = calloc((size_t)wish.connections, sizeof *connections);
  poller = epoll_create1(0);
  if (!connections || poller < 0) die("cannot begin: %s", strerror(errno));
  for (long i = 0; i < wish.connections; i++) {
    struct connection *peer = &connections[i];
    peer->fd = connect_to_server();
    if (wish.is_latency_kept) peer->left_at = calloc((size_t)wish.depth, sizeof *peer->left_at);
    watch(peer, EPOLL_CTL_ADD);
    for (long function = 0; is_worker && function < wish.functions; function++)
      append_word(peer, CAN_DO, function_name(function));
  }
}

static int by_size(const void *one, const void *other) {
  float a = *(const float *)one, b = *(const float *)other;
  return (a > b) - (a < b);
}

static double percentile(double share) {
  if (!wish.is_latency_kept || done_jobs == 0) return 0;
  return (double)latencies_us[(long)(share * (double)(done_jobs - 1))];
}

static void report(double elapsed_s, double cpu_s) {
  if (wish.is_latency_kept) qsort(latencies_us, (size_t)done_jobs, sizeof *latencies_us, by_size);
  printf("{\"jobs\": %ld, \"failed\": %ld, \"elapsed_s\": %.6f, \"cpu_s\": %.6f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n",
         done_jobs, failed_jobs, elapsed_s, cpu_s, percentile(0.5), percentile(0.99));
}

static void measure(bool is_worker) {
  open_connections(is_worker);
  double cpu_before = own_cpu_s();
  began_at = now();
  for (long i = 0; i < wish.connections; i++) {
    if (is_worker) grab_more(&connections[i]);
    else submit_more(&connections[i]);
    flush(&connections[i]);
  }
  run(is_worker);
  report(now() - began_at, own_cpu_s() - cpu_before);
}

/* Workers that are able, asleep, and answer nothing: says when all of them are, then waits for the end of its input. */
static void sleep_there(void) {
  began_at = now();
  /* A server that is slow to accept ends the program. */
  alarm((unsigned)wish.seconds);
  open_connections(true);
  for (long i = 0; i < wish.connections; i++) {
    append_empty(&connections[i], PRE_SLEEP);
    flush(&connections[i]);
  }
  printf("{\"connections\": %ld, \"elapsed_s\": %.6f}\n", wish.connections, now() - began_at);
  fflush(stdout);
  alarm(0);
  char byte;
  while (!is_stopping && read(STDIN_FILENO, &byte, 1) > 0) {
  }
}

static long number(const char *option, const char *text) {
  char *end;
  long value = strtol(text, &end, 10);
  if (*end || end == text || value < 0) die("%s must be a whole number from 0, got %s", option, text);
  return value;
}

static void read_options(int count, char **words) {
  static const struct {
    const char *name;
    long *number;
    const char **text;
    bool *flag;
  } known[] = {
      {"--host", 0, &wish.host, 0},
      {"--port", 0, &wish.port, 0},
      {"--function", 0, &wish.function, 0},
      {"--connections", &wish.connections, 0, 0},
      {"--jobs", &wish.jobs, 0, 0},
      {"--depth", &wish.depth, 0, 0},
      {"--payload", &wish.payload_bytes, 0, 0},
      {"--prefetch", &wish.prefetch, 0, 0},
      {"--seconds", &wish.seconds, 0, 0},
      {"--unique", &wish.uniques, 0, 0},
      {"--functions", &wish.functions, 0, 0},
      {"--foreground", 0, 0, &wish.is_foreground},
      {"--latency", 0, 0, &wish.is_latency_kept},
      {"--grab-uniq", 0, 0, &wish.grabs_uniques},
  };
  wish.command = words[1];
  for (int i = 2; i < count; i++) {
    size_t k = 0;
    while (k < sizeof known / sizeof *known && strcmp(known[k].name, words[i])) k++;
    if (k == sizeof known / sizeof *known) die("no option %s", words[i]);
    if (known[k].flag) {
      *known[k].flag = true;
      continue;
    }
    if (++i == count) die("%s needs a value", words[i - 1]);
    if (known[k].number) *known[k].number = number(words[i - 1], words[i]);
    else *known[k].text = words[i];
  }
  if (wish.connections < 1 || wish.depth < 1 || wish.prefetch < 1 || wish.functions < 1)
    die("--connections, --depth, --prefetch and --functions must be at least 1");
}

int main(int count, char **words) {
  if (count < 2) die("usage: gearload submit|work|sleep [--option value]...");
  read_options(count, words);
  struct sigaction action = {.sa_handler = stop};
  sigaction(SIGTERM, &action, NULL);
  sigaction(SIGINT, &action, NULL);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (!strcmp(wish.command, "sleep")) {
    sleep_there();
    return 0;
  }
  bool is_worker = !strcmp(wish.command, "work");
  if (!is_worker && strcmp(wish.command, "submit")) die("there is no command %s", wish.command);
  if (wish.is_latency_kept) {
    latencies_us = calloc((size_t)wish.jobs, sizeof *latencies_us);
    if (!latencies_us) die("out of memory");
  }
  measure(is_worker);
  return 0;
}
