/* A worker on libgearman: libgearman_worker HOST PORT PREFIX. What its functions do is told in ../README.md. */

#include <ctype.h>
#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *shout(gearman_job_st *job, void *context, size_t *size, gearman_return_t *outcome) {
  (void)context;
  gearman_job_send_status(job, 1, 4);
  gearman_job_send_data(job, "part", 4);
  gearman_job_send_warning(job, "careful", 7);

  const unsigned char *payload = gearman_job_workload(job);
  *size = gearman_job_workload_size(job);
  unsigned char *result = malloc(*size + 1);
  for (size_t i = 0; i < *size; i++) result[i] = (unsigned char)toupper(payload[i]);
  *outcome = GEARMAN_SUCCESS;
  return result;
}

static void *raise_error(gearman_job_st *job, void *context, size_t *size, gearman_return_t *outcome) {
  (void)context;
  gearman_job_send_exception(job, "it broke", 8);
  *size = 0;
  *outcome = GEARMAN_WORK_FAIL;
  return NULL;
}

static void *refuse(gearman_job_st *job, void *context, size_t *size, gearman_return_t *outcome) {
  (void)job;
  (void)context;
  *size = 0;
  *outcome = GEARMAN_WORK_FAIL;
  return NULL;
}

static void offer(gearman_worker_st *worker, const char *prefix, const char *function, gearman_worker_fn *run) {
  char name[128];
  snprintf(name, sizeof name, "%s-%s", prefix, function);
  if (gearman_worker_add_function(worker, name, 0, run, NULL) != GEARMAN_SUCCESS) {
    fprintf(stderr, "%s: %s\n", name, gearman_worker_error(worker));
    exit(1);
  }
}

int main(int count, char **arguments) {
  if (count != 4) return 1;
  gearman_worker_st *worker = gearman_worker_create(NULL);
  gearman_worker_add_server(worker, arguments[1], (in_port_t)atoi(arguments[2]));
  offer(worker, arguments[3], "shout", shout);
  offer(worker, arguments[3], "raise", raise_error);
  offer(worker, arguments[3], "refuse", refuse);
  for (;;) {
    gearman_return_t outcome = gearman_worker_work(worker);
    if (outcome != GEARMAN_SUCCESS && outcome != GEARMAN_WORK_FAIL && outcome != GEARMAN_WORK_EXCEPTION) {
      fprintf(stderr, "work: %s\n", gearman_worker_error(worker));
      return 1;
    }
  }
}
