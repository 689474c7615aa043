/* Work that gives way to everything else on the machine, for threads that ask for it.
 *
 * It is done by a thread of its own, which the system runs when a processor has nothing else to do, while the
 * one that asked waits. A Python thread cannot be such a thread itself: while it held the interpreter and waited
 * for a processor, all others of its process would wait for it.
 */
#ifndef IMEISET_BACKGROUND_H
#define IMEISET_BACKGROUND_H

#include <pthread.h>
#include <sched.h>

static _Thread_local int in_background; /* whether this thread asked for it */

static inline void background_set(int wanted) { in_background = wanted; }

struct background_work {
    void (*work)(void *);
    void *with;
};

static void *background_main(void *given) {
    struct background_work *one = given;
#ifdef SCHED_IDLE
    struct sched_param none = {0};
    pthread_setschedparam(pthread_self(), SCHED_IDLE, &none); /* where it fails, priority stays as it is */
#endif
    one->work(one->with);
    return NULL;
}

/* work(with), in the background if this thread asked for it. */
static inline void background_run(void (*work)(void *), void *with) {
    struct background_work one = {work, with};
    pthread_t thread;
    if (in_background && pthread_create(&thread, NULL, background_main, &one) == 0)
        pthread_join(thread, NULL);
    else
        work(with);
}

#endif
