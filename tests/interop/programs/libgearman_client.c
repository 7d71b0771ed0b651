/* A client on libgearman: libgearman_client HOST PORT PREFIX. What it says is told in ../README.md. */

#include <libgearman/gearman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *what, gearman_task_st *task) {
  printf("%s %.*s\n", what, (int)gearman_task_data_size(task), (const char *)gearman_task_data(task));
}

static gearman_return_t on_status(gearman_task_st *task) {
  printf("status %u/%u\n", gearman_task_numerator(task), gearman_task_denominator(task));
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_data(gearman_task_st *task) {
  say("data", task);
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_warning(gearman_task_st *task) {
  say("warning", task);
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_complete(gearman_task_st *task) {
  say("complete", task);
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_exception(gearman_task_st *task) {
  say("exception", task);
  return GEARMAN_SUCCESS;
}

static gearman_return_t on_fail(gearman_task_st *task) {
  (void)task;
  printf("fail\n");
  return GEARMAN_SUCCESS;
}

static void run(gearman_client_st *client, const char *prefix, const char *function) {
  char name[128];
  gearman_return_t outcome;
  snprintf(name, sizeof name, "%s-%s", prefix, function);
  gearman_client_add_task(client, NULL, NULL, name, NULL, "hello", 5, &outcome);
  gearman_client_run_tasks(client);
}

static int run_in_background(gearman_client_st *client, const char *prefix, const char *function) {
  char name[128];
  char handle[GEARMAN_JOB_HANDLE_SIZE];
  snprintf(name, sizeof name, "%s-%s", prefix, function);
  if (gearman_client_do_background(client, name, NULL, "hello", 5, handle) != GEARMAN_SUCCESS) {
    fprintf(stderr, "do_background: %s\n", gearman_client_error(client));
    return 1;
  }
  printf("background %s\n", handle);
  bool is_known = true, is_running = true;
  while (is_known) {
    if (gearman_client_job_status(client, handle, &is_known, &is_running, NULL, NULL) != GEARMAN_SUCCESS) {
      fprintf(stderr, "job_status: %s\n", gearman_client_error(client));
      return 1;
    }
    usleep(10000);
  }
  printf("ended\n");
  return 0;
}

int main(int count, char **arguments) {
  if (count != 4) return 1;
  gearman_client_st *client = gearman_client_create(NULL);
  gearman_client_add_server(client, arguments[1], (in_port_t)atoi(arguments[2]));
  gearman_client_set_timeout(client, 10000);
  if (!gearman_client_set_server_option(client, "exceptions", strlen("exceptions"))) {
    fprintf(stderr, "exceptions: %s\n", gearman_client_error(client));
    return 1;
  }
  gearman_client_set_status_fn(client, on_status);
  gearman_client_set_data_fn(client, on_data);
  gearman_client_set_warning_fn(client, on_warning);
  gearman_client_set_complete_fn(client, on_complete);
  gearman_client_set_exception_fn(client, on_exception);
  gearman_client_set_fail_fn(client, on_fail);
  run(client, arguments[3], "shout");
  run(client, arguments[3], "raise");
  run(client, arguments[3], "refuse");
  return run_in_background(client, arguments[3], "shout");
}
