/* Preloaded into a writer: the Nth call that changes the store in FAULT_DIR fails, or ends the process.
 *
 * FAULT_AT: which call, from 1. FAULT_HOW: "error" (nothing is done, ENOSPC or EIO), "short" (a write does
 * half of it, then fails), "kill" (the process ends before it), "after" (the process ends after half of a
 * write, or after the call). When the call was reached, FAULT_SEEN is created.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

static long calls;
static int writes_fail; /* after a short write, the next one fails */

static int inside(const char *path) {
    const char *dir = getenv("FAULT_DIR");
    return dir && strncmp(path, dir, strlen(dir)) == 0;
}

static int ours(int fd) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n < 0) return 0;
    path[n] = 0;
    return inside(path);
}

static int is(const char *how) {
    const char *given = getenv("FAULT_HOW");
    return given && strcmp(given, how) == 0;
}

/* Whether this is the call; 'kill' does not return. */
static int reached(void) {
    const char *at = getenv("FAULT_AT"), *seen = getenv("FAULT_SEEN");
    if (!at || ++calls != atol(at)) return 0;
    if (seen) close(open(seen, O_CREAT | O_WRONLY, 0644));
    if (is("kill")) raise(SIGKILL);
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t pwrite64(int fd, const void *data, size_t n, off64_t at) {
    if (!ours(fd)) return REAL(pwrite64)(fd, data, n, at);
    if (writes_fail) { writes_fail = 0; errno = ENOSPC; return -1; }
    if (!reached()) return REAL(pwrite64)(fd, data, n, at);
    if (is("error") || n < 2) { errno = ENOSPC; return -1; }
    ssize_t done = REAL(pwrite64)(fd, data, n / 2, at);
    if (is("after")) raise(SIGKILL);
    writes_fail = 1;
    return done;
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t at) { return pwrite64(fd, data, n, at); }

ssize_t write(int fd, const void *data, size_t n) {
    if (!ours(fd)) return REAL(write)(fd, data, n);
    if (writes_fail) { writes_fail = 0; errno = ENOSPC; return -1; }
    if (!reached()) return REAL(write)(fd, data, n);
    if (is("error") || n < 2) { errno = ENOSPC; return -1; }
    ssize_t done = REAL(write)(fd, data, n / 2);
    if (is("after")) raise(SIGKILL);
    writes_fail = 1;
    return done;
}

#define FAIL(real)                             \
    if (is("after")) { real; raise(SIGKILL); } \
    errno = EIO;                               \
    return -1

int fsync(int fd) {
    if (!ours(fd) || !reached()) return REAL(fsync)(fd);
    FAIL(REAL(fsync)(fd));
}

int ftruncate64(int fd, off64_t n) {
    if (!ours(fd) || !reached()) return REAL(ftruncate64)(fd, n);
    FAIL(REAL(ftruncate64)(fd, n));
}

int ftruncate(int fd, off_t n) { return ftruncate64(fd, n); }

int rename(const char *from, const char *to) {
    if (!inside(from) || !reached()) return REAL(rename)(from, to);
    FAIL(REAL(rename)(from, to));
}

int renameat(int from_dir, const char *from, int to_dir, const char *to) {
    if (!ours(from_dir) || !reached()) return REAL(renameat)(from_dir, from, to_dir, to);
    FAIL(REAL(renameat)(from_dir, from, to_dir, to));
}

int linkat(int from_dir, const char *from, int to_dir, const char *to, int flags) {
    if (!ours(to_dir) || !reached()) return REAL(linkat)(from_dir, from, to_dir, to, flags);
    FAIL(REAL(linkat)(from_dir, from, to_dir, to, flags));
}

int unlinkat(int dir, const char *path, int flags) {
    if (!ours(dir) || !reached()) return REAL(unlinkat)(dir, path, flags);
    FAIL(REAL(unlinkat)(dir, path, flags));
}

int unlink(const char *path) {
    if (!inside(path) || !reached()) return REAL(unlink)(path);
    FAIL(REAL(unlink)(path));
}

/* How files are copied, folders made and links set. */
ssize_t sendfile64(int to, int from, off64_t *at, size_t n) {
    if (!ours(to) || !reached()) return REAL(sendfile64)(to, from, at, n);
    FAIL(REAL(sendfile64)(to, from, at, n));
}

ssize_t sendfile(int to, int from, off_t *at, size_t n) { return sendfile64(to, from, at, n); }

ssize_t copy_file_range(int from, off64_t *from_at, int to, off64_t *to_at, size_t n, unsigned int flags) {
    if (!ours(to) || !reached()) return REAL(copy_file_range)(from, from_at, to, to_at, n, flags);
    FAIL(REAL(copy_file_range)(from, from_at, to, to_at, n, flags));
}

int mkdir(const char *path, mode_t mode) {
    if (!inside(path) || !reached()) return REAL(mkdir)(path, mode);
    FAIL(REAL(mkdir)(path, mode));
}

int rmdir(const char *path) {
    if (!inside(path) || !reached()) return REAL(rmdir)(path);
    FAIL(REAL(rmdir)(path));
}

int link(const char *from, const char *to) {
    if (!inside(to) || !reached()) return REAL(link)(from, to);
    FAIL(REAL(link)(from, to));
}

int symlink(const char *to, const char *path) {
    if (!inside(path) || !reached()) return REAL(symlink)(to, path);
    FAIL(REAL(symlink)(to, path));
}
