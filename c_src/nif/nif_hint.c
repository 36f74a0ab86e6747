#include "nif_hint.h"

#include "nif_detector.h"

struct hint_target {
    ErlNifMutex* mutex;          /* a leaf: only the message is sent under it */
    struct nif_detector* handle; /* NULL once the handle is closed */
    bool subscribed;
    ErlNifPid subscriber;
};

/* {What, Handle}; false where nobody is there any more. `env` is NULL on
 * threads of ours. */
static bool send_hint(ErlNifEnv* env, const ErlNifPid* to, ERL_NIF_TERM what,
                      struct nif_detector* handle)
{
    ErlNifEnv* message = enif_alloc_env();
    bool sent = enif_send(
        env, to, message,
        enif_make_tuple2(message, what, enif_make_resource(message, handle)));

    enif_free_env(message);
    return sent;
}

static void send_changed(ErlNifEnv* env, struct nif_detector* handle)
{
    send_hint(env, &handle->owner, am_ecto_litefs_changed, handle);
}

void hint_target_changed(void* ctx)
{
    struct hint_target* target = ctx;

    enif_mutex_lock(target->mutex);
    if (target->handle == NULL) {
        /* Closed, and the cell is just being left. */
    } else if (enif_thread_type() == ERL_NIF_THR_UNDEFINED) {
        send_changed(NULL, target->handle);
    } else {
        atomic_store(&target->handle->hint_owed, true);
    }
    enif_mutex_unlock(target->mutex);
}

/* Positions are posted by threads of ours only. */
void hint_target_moved(void* ctx)
{
    struct hint_target* target = ctx;

    enif_mutex_lock(target->mutex);
    if (target->handle != NULL && target->subscribed) {
        target->subscribed = send_hint(NULL, &target->subscriber,
                                       am_ecto_litefs_position, target->handle);
    }
    enif_mutex_unlock(target->mutex);
}

void hint_target_subscribe(struct hint_target* target, const ErlNifPid* pid)
{
    enif_mutex_lock(target->mutex);
    target->subscriber = *pid;
    target->subscribed = true;
    enif_mutex_unlock(target->mutex);
}

void nif_detector_send_owed(ErlNifEnv* env, struct nif_detector* handle)
{
    if (atomic_exchange(&handle->hint_owed, false)) {
        send_changed(env, handle);
    }
}

void hint_target_free(void* ctx)
{
    struct hint_target* target = ctx;

    enif_mutex_destroy(target->mutex);
    enif_free(target);
}

struct hint_target* hint_target_new(struct nif_detector* handle)
{
    struct hint_target* target = enif_alloc(sizeof(*target));

    if (target == NULL) {
        return NULL;
    }
    *target = (struct hint_target){.handle = handle};
    target->mutex = enif_mutex_create("ecto_litefs.hint_target");
    if (target->mutex == NULL) {
        enif_free(target);
        return NULL;
    }
    return target;
}

void hint_target_forget(struct hint_target* target)
{
    enif_mutex_lock(target->mutex);
    target->handle = NULL;
    enif_mutex_unlock(target->mutex);
}
