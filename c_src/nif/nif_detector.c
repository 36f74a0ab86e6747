#include "nif_detector.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include "nif_hint.h"
#include "nif_position.h"

struct check_request {
    ErlNifEnv* env; /* owns `ref` */
    ERL_NIF_TERM ref;
    ErlNifPid caller;
};

static ErlNifResourceType* detector_type;

/* -- closing --------------------------------------------------------------- */

/* The environment to send from, where detector_close() has to run on a
 * scheduler; NULL on every other thread. */
static _Thread_local ErlNifEnv* closing_env;

/* Gives back the reference that being open held. */
static void* finish(void* arg)
{
    struct nif_detector* handle = arg;

    detector_close(handle->detector);
    hint_target_forget(handle->target);
    enif_release_resource(handle);
    return NULL;
}

/* 0 or -EAGAIN. Signals are for the threads of the VM. */
static int start_detached(void* (*run)(void*), void* arg)
{
    pthread_attr_t attr;
    pthread_t thread;
    sigset_t all;
    sigset_t old;
    int err;

    if (pthread_attr_init(&attr) != 0) {
        return -EAGAIN;
    }
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    err = pthread_create(&thread, &attr, run, arg);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    pthread_attr_destroy(&attr);
    return err == 0 ? 0 : -EAGAIN;
}

/*
 * detector_close() joins the stream's thread. That takes milliseconds, but it
 * is not certain: libcurl waits for a name resolution that is under way, and
 * that can take seconds. So it is done on a thread of its own. Where the
 * system has no thread left, blocking this scheduler is what remains.
 */
static void shut(ErlNifEnv* env, struct nif_detector* handle)
{
    bool was_open;

    enif_mutex_lock(handle->mutex);
    was_open = handle->open;
    handle->open = false;
    enif_mutex_unlock(handle->mutex);
    if (!was_open) {
        return;
    }
    status_cell_shut(handle->cell);
    if (start_detached(finish, handle) != 0) {
        closing_env = env;
        finish(handle);
        closing_env = NULL;
    }
}

void nif_detector_close(ErlNifEnv* env, struct nif_detector* handle)
{
    enif_demonitor_process(env, handle, &handle->monitor);
    shut(env, handle);
}

/* -- the resource ---------------------------------------------------------- */

static void owner_down(ErlNifEnv* env, void* obj, ErlNifPid* pid,
                       ErlNifMonitor* monitor)
{
    (void)pid;
    (void)monitor;
    shut(env, obj);
}

static void destroy(ErlNifEnv* env, void* obj)
{
    struct nif_detector* handle = obj;

    (void)env;
    if (handle->cell != NULL) {
        status_cell_unref(handle->cell);
    }
    if (handle->mutex != NULL) {
        enif_mutex_destroy(handle->mutex);
    }
}

bool nif_detector_init(ErlNifEnv* env)
{
    ErlNifResourceTypeInit callbacks = {.dtor = destroy, .down = owner_down};

    detector_type = enif_open_resource_type_x(
        env, "detector", &callbacks, ERL_NIF_RT_CREATE | ERL_NIF_RT_TAKEOVER,
        NULL);
    return detector_type != NULL;
}

bool nif_detector_ready(void)
{
    return detector_type != NULL;
}

bool nif_detector_get(ErlNifEnv* env, ERL_NIF_TERM term,
                      struct nif_detector** handle)
{
    /* One that could not be opened may have hinted before it failed. */
    return enif_get_resource(env, term, detector_type, (void**)handle) &&
           (*handle)->cell != NULL;
}

static struct nif_detector* handle_new(ErlNifEnv* env)
{
    struct nif_detector* handle =
        enif_alloc_resource(detector_type, sizeof(*handle));

    if (handle == NULL) {
        return NULL;
    }
    *handle = (struct nif_detector){0};
    enif_self(env, &handle->owner);
    handle->mutex = enif_mutex_create("ecto_litefs.handle");
    handle->target = handle->mutex != NULL ? hint_target_new(handle) : NULL;
    if (handle->target == NULL) {
        enif_release_resource(handle);
        return NULL;
    }
    return handle;
}

int nif_detector_open(ErlNifEnv* env, const struct detector_config* config,
                      ERL_NIF_TERM* term)
{
    struct nif_detector* handle = handle_new(env);
    struct status_cell_hooks hooks = {.changed = hint_target_changed,
                                      .moved = hint_target_moved,
                                      .free = hint_target_free};
    int rv;

    if (handle == NULL) {
        return -ENOMEM;
    }
    hooks.ctx = handle->target;
    rv = detector_open(config, &hooks, &handle->detector);
    if (rv != 0) {
        hint_target_free(handle->target);
        enif_release_resource(handle);
        return rv;
    }
    handle->cell = status_cell_ref(detector_cell(handle->detector));
    handle->open = true;
    /* The reference of enif_alloc_resource() is the one of being open. */
    *term = enif_make_resource(env, handle);
    if (enif_monitor_process(env, handle, &handle->owner, &handle->monitor) !=
        0) {
        shut(env, handle); /* the caller was just killed */
    }
    return 0;
}

/* -- while it is open ------------------------------------------------------ */

static void check_done(void* ctx, enum role role,
                       const struct position* position)
{
    struct check_request* request = ctx;
    ERL_NIF_TERM found = am_none;

    if (position != NULL) {
        found =
            nif_position_make(request->env, position->txid, position->checksum);
    }
    enif_send(closing_env, &request->caller, request->env,
              enif_make_tuple4(request->env, am_ecto_litefs_check, request->ref,
                               terms_role(role), found));
    enif_free_env(request->env);
    enif_free(request);
}

static struct check_request* check_new(ErlNifEnv* env, ERL_NIF_TERM ref)
{
    struct check_request* request = enif_alloc(sizeof(*request));

    if (request == NULL) {
        return NULL;
    }
    enif_self(env, &request->caller);
    request->env = enif_alloc_env();
    request->ref = enif_make_copy(request->env, ref);
    return request;
}

int nif_detector_check(ErlNifEnv* env, struct nif_detector* handle,
                       const char* db, ERL_NIF_TERM ref)
{
    struct check_request* request = check_new(env, ref);
    int rv;

    if (request == NULL) {
        return -ENOMEM;
    }
    enif_mutex_lock(handle->mutex);
    rv = handle->open
             ? detector_check(handle->detector, db, check_done, request)
             : -EBADF;
    enif_mutex_unlock(handle->mutex);
    if (rv != 0) {
        enif_free_env(request->env);
        enif_free(request);
    }
    return rv;
}

int nif_detector_subscribe(ErlNifEnv* env, struct nif_detector* handle)
{
    int rv = -EBADF;
    ErlNifPid self;

    enif_self(env, &self);
    enif_mutex_lock(handle->mutex);
    if (handle->open) {
        hint_target_subscribe(handle->target, &self);
        status_cell_subscribe(handle->cell);
        rv = detector_watch(handle->detector, NULL, false);
    }
    enif_mutex_unlock(handle->mutex);
    return rv;
}

int nif_detector_watch(struct nif_detector* handle, const char* db, bool on)
{
    int rv = -EBADF;

    enif_mutex_lock(handle->mutex);
    if (handle->open) {
        rv = detector_watch(handle->detector, db, on);
    }
    enif_mutex_unlock(handle->mutex);
    return rv;
}

int nif_detector_hint(struct nif_detector* handle)
{
    int rv = -EBADF;

    enif_mutex_lock(handle->mutex);
    if (handle->open) {
        detector_hint(handle->detector);
        rv = 0;
    }
    enif_mutex_unlock(handle->mutex);
    return rv;
}

int nif_detector_set_manual(struct nif_detector* handle, enum manual_role role)
{
    int rv = -EBADF;

    enif_mutex_lock(handle->mutex);
    if (handle->open) {
        rv = detector_set_manual(handle->detector, role);
    }
    enif_mutex_unlock(handle->mutex);
    return rv;
}

int nif_detector_reconnected(struct nif_detector* handle, uint64_t epoch)
{
    int rv = -EBADF;

    enif_mutex_lock(handle->mutex);
    if (handle->open) {
        detector_reconnected(handle->detector, epoch);
        rv = 0;
    }
    enif_mutex_unlock(handle->mutex);
    return rv;
}
