/* What gearmand's own tests expect of a server: libgearman_expectations HOST PORT EXPECTATION.
   Each expectation starts the workers it needs as threads, and prints what its clients saw. */

#include <libgearman/gearman.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define EXCEPTIONS 100
#define ERRORS 24

static const char *host;
static in_port_t port;

typedef struct {
  const char *function;
  gearman_function_t run;
  void *context;
  gearman_worker_options_t options;
  atomic_bool is_done;
  pthread_t thread;
} helper_st;

static gearman_client_st *new_client(void) {
  gearman_client_st *client = gearman_client_create(NULL);
  gearman_client_add_server(client, host, port);
  return client;
}

static gearman_worker_st *new_worker(void) {
  gearman_worker_st *worker = gearman_worker_create(NULL);
  gearman_worker_add_server(worker, host, port);
  return worker;
}

static void *work(void *argument) {
  helper_st *helper = argument;
  gearman_worker_st *worker = new_worker();
  gearman_worker_add_options(worker, helper->options);
  gearman_worker_define_function(worker, helper->function, strlen(helper->function), helper->run, 0, helper->context);
  /* So that it sees its end. */
  gearman_worker_set_timeout(worker, 100);
  while (!helper->is_done) gearman_worker_work(worker);
  gearman_worker_free(worker);
  return NULL;
}

static void begin(helper_st *helper) { pthread_create(&helper->thread, NULL, work, helper); }

static void finish(helper_st *helper) {
  helper->is_done = true;
  pthread_join(helper->thread, NULL);
}

static gearman_return_t run_all(gearman_client_st *client) {
  gearman_return_t outcome;
  do outcome = gearman_client_run_tasks(client);
  while (gearman_continue(outcome));
  return outcome;
}

static void await_end(gearman_client_st *client, const char *handle) {
  char copy[GEARMAN_JOB_HANDLE_SIZE] = "";
  bool is_known = true;
  strncpy(copy, handle, sizeof copy - 1);
  while (is_known && gearman_client_job_status(client, copy, &is_known, NULL, NULL, NULL) == GEARMAN_SUCCESS) usleep(1000);
}

static gearman_return_t repeat(gearman_job_st *job, void *context) {
  (void)context;
  return gearman_job_send_data(job, gearman_job_workload(job), gearman_job_workload_size(job));
}

static gearman_return_t repeat_bytes(gearman_job_st *job, void *context) {
  (void)context;
  const char *payload = gearman_job_workload(job);
  for (size_t i = 0; i < gearman_job_workload_size(job); i++)
    if (gearman_job_send_data(job, payload + i, 1) != GEARMAN_SUCCESS) return GEARMAN_ERROR;
  return GEARMAN_SUCCESS;
}

static gearman_return_t raise_payload(gearman_job_st *job, void *context) {
  (void)context;
  gearman_job_send_exception(job, gearman_job_workload(job), gearman_job_workload_size(job));
  return GEARMAN_WORK_EXCEPTION;
}

/* With GEARMAN_ERROR the library gives up the connection, and with it the job. */
static gearman_return_t always_err(gearman_job_st *job, void *context) {
  (void)job;
  ++*(atomic_int *)context;
  return GEARMAN_ERROR;
}

static gearman_return_t err_a_while(gearman_job_st *job, void *context) {
  atomic_int *left = context;
  if (*left == 0) return gearman_job_send_data(job, "OK", 2);
  --*left;
  return GEARMAN_ERROR;
}

static gearman_return_t return_code(gearman_job_st *job, void *context) {
  (void)context;
  gearman_return_t code;
  memcpy(&code, gearman_job_workload(job), sizeof code);
  gearman_job_send_data(job, "code", 4);
  return code;
}

static gearman_return_t note_order(gearman_job_st *job, void *context) {
  char *order = context;
  order[strlen(order)] = *(const char *)gearman_job_workload(job);
  return GEARMAN_SUCCESS;
}

static void exceptions(void) {
  gearman_client_st *client = new_client();
  gearman_task_st *tasks[EXCEPTIONS];
  helper_st helper = {.function = "raise", .run = gearman_function_create(raise_payload)};
  begin(&helper);
  for (int i = 0; i < EXCEPTIONS; i++) {
    gearman_return_t outcome;
    tasks[i] = gearman_client_add_task(client, NULL, NULL, "raise", NULL, "payload", 7, &outcome);
  }
  run_all(client);
  int count = 0;
  for (int i = 0; i < EXCEPTIONS; i++) count += gearman_task_return(tasks[i]) == GEARMAN_WORK_EXCEPTION;
  printf("%d exceptions\n", count);
  finish(&helper);
}

static void errors(void) {
  gearman_client_st *client = new_client();
  gearman_return_t outcome;
  size_t size;
  atomic_int runs = 0;
  helper_st helper = {.function = "err", .run = gearman_function_create(always_err), .context = &runs};
  begin(&helper);
  gearman_client_do(client, "err", NULL, NULL, 0, &size, &outcome);
  finish(&helper);
  printf("%s after %d runs\n", gearman_strerror(outcome), runs);
}

static void errors_then_success(void) {
  gearman_client_st *client = new_client();
  atomic_int left = 0;
  int count = 0;
  helper_st helper = {.function = "err-a-while", .run = gearman_function_create(err_a_while), .context = &left};
  begin(&helper);
  for (int i = 0; i < ERRORS; i++) {
    gearman_return_t outcome;
    size_t size;
    left = i;
    free(gearman_client_do(client, "err-a-while", NULL, NULL, 0, &size, &outcome));
    count += outcome == GEARMAN_SUCCESS && size == 2 && left == 0;
  }
  printf("%d successes\n", count);
  finish(&helper);
}

static void codes(void) {
  gearman_client_st *client = new_client();
  char handles[GEARMAN_MAX_RETURN][GEARMAN_JOB_HANDLE_SIZE] = {""};
  helper_st helper = {.function = "code", .run = gearman_function_create(return_code)};
  for (int i = GEARMAN_IO_WAIT; i < GEARMAN_MAX_RETURN; i++) {
    gearman_return_t code = (gearman_return_t)i;
    if (code == GEARMAN_SHUTDOWN || code == GEARMAN_WORK_ERROR) continue;
    gearman_client_do_background(client, "code", NULL, &code, sizeof code, handles[i]);
  }
  begin(&helper);
  for (int i = GEARMAN_IO_WAIT; i < GEARMAN_MAX_RETURN; i++)
    if (*handles[i]) await_end(client, handles[i]);
  printf("all ended\n");
  finish(&helper);
}

static void round_robin(void) {
  gearman_client_st *client = new_client();
  gearman_worker_st *worker = new_worker();
  char handle[GEARMAN_JOB_HANDLE_SIZE], order[16] = "";
  for (char c = '0'; c <= '9'; c++) gearman_client_do_background(client, c % 2 ? "odd" : "even", NULL, &c, 1, handle);
  gearman_worker_define_function(worker, "odd", 3, gearman_function_create(note_order), 0, order);
  gearman_worker_define_function(worker, "even", 4, gearman_function_create(note_order), 0, order);
  for (int i = 0; i < 10; i++) gearman_worker_work(worker);
  gearman_worker_free(worker);
  printf("%s\n", order);
}

/* The first job is not due for an hour. */
static void later_and_now(void) {
  gearman_client_st *client = new_client();
  gearman_task_attr_t later = gearman_task_attr_init_epoch(time(NULL) + 3600, GEARMAN_JOB_PRIORITY_NORMAL);
  gearman_argument_t payload = gearman_argument_make(NULL, 0, "ping", 4);
  gearman_return_t outcome;
  size_t size = 0;
  gearman_execute(client, "later", 5, NULL, 0, &later, &payload, NULL);
  helper_st helper = {.function = "later", .run = gearman_function_create(repeat)};
  begin(&helper);
  free(gearman_client_do(client, "later", NULL, "ping", 4, &size, &outcome));
  printf("%s %zu\n", gearman_strerror(outcome), size);
  finish(&helper);
}

static void payload_of(const char *function, size_t size) {
  gearman_client_st *client = new_client();
  gearman_return_t outcome;
  size_t result_size = 0;
  char *payload = malloc(size);
  for (size_t i = 0; i < size; i++) payload[i] = (char)random();
  char *result = gearman_client_do(client, function, NULL, payload, size, &result_size, &outcome);
  bool is_same = result != NULL && result_size == size && memcmp(result, payload, size) == 0;
  printf("%zu bytes %s %s\n", size, gearman_strerror(outcome), is_same ? "and the same" : "but others");
}

static void payloads(void) {
  helper_st whole = {.function = "whole", .run = gearman_function_create(repeat)};
  helper_st bytes = {.function = "bytes", .run = gearman_function_create(repeat_bytes)};
  begin(&whole);
  begin(&bytes);
  payload_of("whole", 3 << 20);
  payload_of("bytes", 3 << 10);
  finish(&whole);
  finish(&bytes);
}

static gearman_return_t split(gearman_job_st *job, void *context) {
  (void)context;
  const char *word = gearman_job_workload(job), *end = word + gearman_job_workload_size(job);
  for (const char *at = word; at <= end; at++) {
    if (at < end && *at != ' ') continue;
    if (gearman_job_send_data(job, word, (size_t)(at - word)) != GEARMAN_SUCCESS) return GEARMAN_FAIL;
    word = at + 1;
  }
  return GEARMAN_SUCCESS;
}

static gearman_return_t join_words(gearman_aggregator_st *aggregator, gearman_task_st *task, gearman_result_st *result) {
  (void)aggregator;
  char words[64] = "";
  for (; task != NULL; task = gearman_next(task)) {
    gearman_result_st *word = gearman_task_result(task);
    strncat(words, gearman_result_value(word), gearman_result_size(word));
  }
  gearman_result_store_value(result, words, strlen(words));
  return GEARMAN_SUCCESS;
}

static void partition(void) {
  gearman_client_st *client = new_client();
  gearman_argument_t payload = gearman_argument_make(NULL, 0, "this dog does not hunt", 22);
  helper_st reducer = {.function = "reducer", .run = gearman_function_create(repeat)};
  helper_st splitter = {.function = "split",
                        .run = gearman_function_create_partition(split, join_words),
                        .options = GEARMAN_WORKER_GRAB_ALL};
  begin(&reducer);
  begin(&splitter);
  gearman_task_st *task =
      gearman_execute_by_partition(client, "split", 5, "reducer", 7, NULL, 0, NULL, &payload, NULL);
  gearman_result_st *result = gearman_task_result(task);
  const char *words = result != NULL ? gearman_result_value(result) : "";
  printf("%s %s\n", gearman_strerror(gearman_task_return(task)), words);
  finish(&splitter);
  finish(&reducer);
}

int main(int count, char **arguments) {
  static const struct {
    const char *name;
    void (*run)(void);
  } expectations[] = {
      {"exceptions", exceptions},   {"errors", errors},     {"errors-then-success", errors_then_success},
      {"codes", codes},             {"payloads", payloads}, {"round-robin", round_robin},
      {"later-and-now", later_and_now}, {"partition", partition},
  };
  if (count != 4) return 1;
  host = arguments[1];
  port = (in_port_t)atoi(arguments[2]);
  for (size_t i = 0; i < sizeof expectations / sizeof *expectations; i++) {
    if (strcmp(expectations[i].name, arguments[3]) != 0) continue;
    expectations[i].run();
    return 0;
  }
  return 1;
}
