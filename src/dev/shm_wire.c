/* SPDX-License-Identifier: MIT */
#include "dev/shm_wire.h"

#include "dev/netdev_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Which octet of the file a lock lies on. */
enum { LOCK_SIDE_A = 0, LOCK_SIDE_B = 1, LOCK_SETUP = 2 };

enum { SHM_VERSION = 1, SHM_HEADER_LEN = 4096, OPEN_TRIES = 100 };

struct shm_header {
        char     magic[8];
        uint32_t version;
        uint32_t queue_cnt;
        uint32_t ring_size;
        uint32_t offload;
};
static const char MAGIC[8] = "millrace";

static size_t ring_stride(void) { return ALIGN_UP(framering_bytes(FRAMERING_SIZE), 4096); }

static void path_of(char *buf, size_t buf_len, const char *name)
{
        snprintf(buf, buf_len, "/dev/shm/millrace-%s", name);
}

static void fifo_path(char *buf, size_t buf_len, const struct shm_wire *w, uint16_t queue, unsigned side)
{
        snprintf(buf, buf_len, "/dev/shm/millrace-%s.%c%u", w->name, "ab"[side], queue);
}

static int lock_octet(int fd, int octet, short type, bool wait)
{
        struct flock fl = { .l_type = type, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1 };
        int rc;

        do
                rc = fcntl(fd, wait ? F_OFD_SETLKW : F_OFD_SETLK, &fl);
        while (rc < 0 && errno == EINTR);
        return rc < 0 ? -errno : 0;
}

static bool lock_is_free(int fd, int octet)
{
        struct flock fl = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = octet, .l_len = 1 };
        return fcntl(fd, F_OFD_GETLK, &fl) == 0 && fl.l_type == F_UNLCK;
}

bool shm_wire_peer_alive(const struct shm_wire *w)
{
        return !lock_is_free(w->fd, w->side ? LOCK_SIDE_A : LOCK_SIDE_B);
}

/* Open the file and take the setup lock.  The last user may remove the file
 * between the two; then it is opened again. */
static int file_open(struct shm_wire *w, char *err, size_t err_len)
{
        char path[96];
        struct stat st;

        path_of(path, sizeof path, w->name);
        for (int i = 0; i < OPEN_TRIES; i++) {
                int fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK, 0600);
                if (fd < 0)
                        return netdev_fail(err, err_len, -errno, "shm:%s: cannot open %s (%s): if it belongs to "
                                           "another user, use another name", w->name, path, strerror(errno));
                if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_uid != geteuid()) {
                        close(fd);
                        return netdev_fail(err, err_len, -EACCES, "shm:%s: %s is not a file of this user: both ends "
                                           "must run as the same user; else use another name", w->name, path);
                }
                int rc = lock_octet(fd, LOCK_SETUP, F_WRLCK, true);
                if (rc == 0 && fstat(fd, &st) == 0 && st.st_nlink > 0) {
                        w->fd = fd;
                        return 0;
                }
                close(fd);
                if (rc < 0)
                        return netdev_fail(err, err_len, rc, "shm:%s: cannot lock %s: %s", w->name, path,
                                           strerror(-rc));
        }
        return netdev_fail(err, err_len, -EBUSY, "shm:%s: %s comes and goes: try again", w->name, path);
}

static int map_file(struct shm_wire *w, char *err, size_t err_len)
{
        w->len = SHM_HEADER_LEN + 2 * w->queue_cnt * ring_stride();
        w->map = mmap(NULL, w->len, PROT_READ | PROT_WRITE, MAP_SHARED, w->fd, 0);
        if (w->map != MAP_FAILED)
                return 0;
        w->map = NULL;
        return netdev_fail(err, err_len, -ENOMEM, "shm:%s: cannot map %zu octets: %s", w->name, w->len,
                           strerror(errno));
}

/* Nobody uses the file: make it anew.  Its memory is taken now, because a page
 * that /dev/shm cannot give later is a SIGBUS. */
static int wire_make(struct shm_wire *w, char *err, size_t err_len)
{
        size_t len = SHM_HEADER_LEN + 2 * w->queue_cnt * ring_stride();
        char path[96];

        if (ftruncate(w->fd, 0) < 0 || ftruncate(w->fd, (off_t)len) < 0)
                return netdev_fail(err, err_len, -errno, "shm:%s: cannot size the file: %s", w->name, strerror(errno));
        int rc = posix_fallocate(w->fd, 0, (off_t)len);
        if (rc)
                return netdev_fail(err, err_len, -rc, "shm:%s: /dev/shm has no %zu MiB free (%s): enlarge it, or ask "
                                   "for fewer queues", w->name, len >> 20, strerror(rc));
        for (unsigned i = 0; i < 2u * w->queue_cnt; i++) {
                fifo_path(path, sizeof path, w, (uint16_t)(i / 2), i % 2);
                unlink(path);
                if (mkfifo(path, 0600) < 0)
                        return netdev_fail(err, err_len, -errno, "shm:%s: cannot make %s: %s", w->name, path,
                                           strerror(errno));
        }
        rc = map_file(w, err, err_len);
        if (rc < 0)
                return rc;
        struct shm_header h = {
                .version = SHM_VERSION, .queue_cnt = w->queue_cnt, .ring_size = FRAMERING_SIZE, .offload = w->offload,
        };
        memcpy(h.magic, MAGIC, sizeof MAGIC);
        memcpy(w->map, &h, sizeof h);
        return 0;
}

/* Somebody holds the other side: use what is there, if it suits. */
static int wire_join(struct shm_wire *w, char *err, size_t err_len)
{
        struct shm_header h;
        struct stat st;

        if (pread(w->fd, &h, sizeof h, 0) != (ssize_t)sizeof h || memcmp(h.magic, MAGIC, sizeof MAGIC) != 0 ||
            h.version != SHM_VERSION || h.ring_size != FRAMERING_SIZE)
                return netdev_fail(err, err_len, -EPROTO, "shm:%s: the other end is another version of Millrace: "
                                   "use the same at both ends", w->name);
        if (h.queue_cnt != w->queue_cnt)
                return netdev_fail(err, err_len, -EINVAL, "shm:%s: the other end has %u queues, not %u: open both with "
                                   "the same number", w->name, h.queue_cnt, w->queue_cnt);
        if (h.offload & ~w->offload)
                return netdev_fail(err, err_len, -EINVAL, "shm:%s: the other end uses offloads that this end may not: "
                                   "open this end first, or both without offloads", w->name);
        if (fstat(w->fd, &st) < 0 || (size_t)st.st_size < SHM_HEADER_LEN + 2 * w->queue_cnt * ring_stride())
                return netdev_fail(err, err_len, -EPROTO, "shm:%s: the file is shorter than it should be: "
                                   "close both ends and begin again", w->name);
        w->offload = h.offload;
        return map_file(w, err, err_len);
}

static int claim_side(struct shm_wire *w, char *err, size_t err_len)
{
        bool alone = lock_is_free(w->fd, LOCK_SIDE_A) && lock_is_free(w->fd, LOCK_SIDE_B);

        if (lock_octet(w->fd, LOCK_SIDE_A, F_WRLCK, false) == 0)
                w->side = 0;
        else if (lock_octet(w->fd, LOCK_SIDE_B, F_WRLCK, false) == 0)
                w->side = 1;
        else
                return netdev_fail(err, err_len, -EBUSY, "shm:%s: both ends are in use: stop one of the two processes, "
                                   "or use another name", w->name);
        return alone ? wire_make(w, err, err_len) : wire_join(w, err, err_len);
}

/* With the setup lock held and our side released: remove what nobody uses. */
static void remove_if_unused(struct shm_wire *w)
{
        char path[96];

        if (!lock_is_free(w->fd, LOCK_SIDE_A) || !lock_is_free(w->fd, LOCK_SIDE_B))
                return;
        path_of(path, sizeof path, w->name);
        unlink(path);
        for (unsigned i = 0; i < 2u * w->queue_cnt; i++) {
                fifo_path(path, sizeof path, w, (uint16_t)(i / 2), i % 2);
                unlink(path);
        }
}

int shm_wire_open(struct shm_wire *w, const char *name, uint16_t queue_cnt, uint32_t offload,
                  char *err, size_t err_len)
{
        *w = (struct shm_wire){ .fd = -1, .queue_cnt = queue_cnt, .offload = offload };
        if (!netdev_word_ok(name))
                return netdev_fail(err, err_len, -EINVAL,
                                   "shm:%s: a name has 1 to 40 letters, digits, '.', '_' or '-': try shm:a", name);
        snprintf(w->name, sizeof w->name, "%s", name);

        int rc = file_open(w, err, err_len);
        if (rc < 0)
                return rc;
        rc = claim_side(w, err, err_len);
        if (rc == 0)
                return lock_octet(w->fd, LOCK_SETUP, F_UNLCK, false);

        lock_octet(w->fd, LOCK_SIDE_A + (int)w->side, F_UNLCK, false);
        remove_if_unused(w);
        close(w->fd);
        return rc;
}

void shm_wire_close(struct shm_wire *w)
{
        munmap(w->map, w->len);
        lock_octet(w->fd, LOCK_SETUP, F_WRLCK, true);
        lock_octet(w->fd, LOCK_SIDE_A + (int)w->side, F_UNLCK, false);
        remove_if_unused(w);
        close(w->fd);
}

struct framering_shared *shm_wire_ring(const struct shm_wire *w, uint16_t queue, unsigned side)
{
        return (struct framering_shared *)(void *)(w->map + SHM_HEADER_LEN + (queue * 2u + side) * ring_stride());
}

int shm_wire_fifo(const struct shm_wire *w, uint16_t queue, unsigned side)
{
        char path[96];
        struct stat st;

        fifo_path(path, sizeof path, w, queue, side);
        int fd = open(path, O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return -errno;
        if (fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode) && st.st_uid == geteuid())
                return fd;
        close(fd);
        return -EACCES;
}
