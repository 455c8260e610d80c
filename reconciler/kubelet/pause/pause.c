/* The sandbox's program and the launcher of containers, in one static file without a C library.
 *
 *   pause                          wait, reap the dead, end on SIGTERM or SIGINT: process 1 of a
 *                                  pod's sandbox, which holds the pod's namespaces
 *   pause launch FILE [COMMAND...] add the NAME=VALUE strings of FILE (each ended by a zero byte)
 *                                  to the environment and become COMMAND, found on PATH: so values
 *                                  from a Secret never pass through Docker; without COMMAND become
 *                                  what FILE holds after an empty string
 *
 * Built by scripts/build-pause; the results are kept beside this file.
 */

typedef unsigned long ulong;
typedef long word;

#if defined(__x86_64__)
enum { SYS_read = 0, SYS_write = 1, SYS_close = 3, SYS_exit = 60, SYS_wait4 = 61,
       SYS_execve = 59, SYS_rt_sigprocmask = 14, SYS_rt_sigtimedwait = 128, SYS_openat = 257 };
static word call(word n, word a, word b, word c, word d) {
    word result;
    register word r10 __asm__("r10") = d;
    __asm__ volatile("syscall" : "=a"(result) : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10)
                     : "rcx", "r11", "memory");
    return result;
}
__asm__(".globl _start\n_start: xor %ebp,%ebp\nmov %rsp,%rdi\nand $-16,%rsp\ncall run\nhlt\n");
#elif defined(__aarch64__)
enum { SYS_read = 63, SYS_write = 64, SYS_close = 57, SYS_exit = 93, SYS_wait4 = 260,
       SYS_execve = 221, SYS_rt_sigprocmask = 135, SYS_rt_sigtimedwait = 137, SYS_openat = 56 };
static word call(word n, word a, word b, word c, word d) {
    register word x8 __asm__("x8") = n;
    register word x0 __asm__("x0") = a;
    register word x1 __asm__("x1") = b;
    register word x2 __asm__("x2") = c;
    register word x3 __asm__("x3") = d;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
}
__asm__(".globl _start\n_start: mov x29,#0\nmov x0,sp\nand sp,x0,#-16\nbl run\n");
#else
#error "the pause program knows amd64 and arm64"
#endif

enum { SIGINT = 2, SIGTERM = 15, SIGCHLD = 17, SIG_BLOCK = 0, WNOHANG = 1, AT_FDCWD = -100 };
enum { ENOENT = 2, EACCES = 13, ENOTDIR = 20 };
enum { FILE_MAX = 4 << 20, STRINGS_MAX = 1 << 16, PATH_MAX = 4096 };

static char content[FILE_MAX];
static char *environment[STRINGS_MAX];
static char *command[STRINGS_MAX];
static char candidate[PATH_MAX];

static ulong length(const char *text) {
    ulong n = 0;
    while (text[n]) n++;
    return n;
}

static int starts(const char *text, const char *prefix) {
    while (*prefix)
        if (*text++ != *prefix++) return 0;
    return 1;
}

static void leave(int code) {
    for (;;) call(SYS_exit, code, 0, 0, 0);
}

static void fail(int code, const char *what, const char *name) {
    call(SYS_write, 2, (word)what, length(what), 0);
    call(SYS_write, 2, (word)name, length(name), 0);
    call(SYS_write, 2, (word)"\n", 1, 0);
    leave(code);
}

/* A blocked signal reaches sigtimedwait even in process 1, where unhandled ones are dropped. */
static void pause_until_told(void) {
    ulong set = 1UL << (SIGINT - 1) | 1UL << (SIGTERM - 1) | 1UL << (SIGCHLD - 1);
    call(SYS_rt_sigprocmask, SIG_BLOCK, (word)&set, 0, sizeof set);
    for (;;) {
        word signal = call(SYS_rt_sigtimedwait, (word)&set, 0, 0, sizeof set);
        if (signal == SIGINT || signal == SIGTERM) leave(0);
        while (call(SYS_wait4, -1, 0, WNOHANG, 0) > 0) {}
    }
}

static ulong read_file(const char *path) {
    word fd = call(SYS_openat, AT_FDCWD, (word)path, 0, 0);
    ulong size = 0;
    word got;
    if (fd < 0) fail(126, "launch: cannot open ", path);
    while (size < FILE_MAX - 1 &&
           (got = call(SYS_read, fd, (word)(content + size), FILE_MAX - 1 - size, 0)) > 0)
        size += got;
    call(SYS_close, fd, 0, 0, 0);
    return size;
}

/* Fill `list` from `count` on with the strings at `at`, up to an empty one if `to_empty`. */
static ulong collect(char **list, ulong count, ulong at, ulong size, int to_empty) {
    for (; at < size && count < STRINGS_MAX - 1; at += length(content + at) + 1) {
        if (to_empty && !content[at]) return at + 1;
        list[count++] = content + at;
    }
    return at;
}

static void read_strings(char **inherited, ulong size) {
    ulong count = 0;
    while (*inherited && count < STRINGS_MAX - 1) environment[count++] = *inherited++;
    collect(command, 0, collect(environment, count, 0, size, 1), size, 0);
}

static const char *search_path(void) {
    for (char **entry = environment; *entry; entry++)
        if (starts(*entry, "PATH=")) return *entry + 5;
    return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
}

static word run_from(const char *folder, ulong width, const char *name, char **arguments) {
    ulong at = 0, size = length(name);
    if (width + size + 2 > PATH_MAX) return -ENOENT;
    for (; at < width; at++) candidate[at] = folder[at];
    candidate[at++] = '/';
    for (ulong i = 0; i <= size; i++) candidate[at++] = name[i];
    return call(SYS_execve, (word)candidate, (word)arguments, (word)environment, 0);
}

static word become(char **arguments) {
    const char *name = arguments[0], *path = search_path();
    word worst = -ENOENT;
    for (const char *c = name; *c; c++)
        if (*c == '/') return call(SYS_execve, (word)name, (word)arguments, (word)environment, 0);
    while (*path) {
        ulong width = 0;
        while (path[width] && path[width] != ':') width++;
        word error = run_from(width ? path : ".", width ? width : 1, name, arguments);
        if (error != -ENOENT && error != -ENOTDIR) worst = error;
        path += width + (path[width] == ':');
    }
    return worst;
}

__attribute__((used, noreturn)) void run(word *stack) {
    word count = stack[0];
    char **arguments = (char **)(stack + 1);
    if (count > 2 && starts(arguments[1], "launch")) {
        read_strings(arguments + count + 1, read_file(arguments[2]));
        char **chosen = count > 3 ? arguments + 3 : command;
        if (!*chosen) fail(127, "launch: no command in ", arguments[2]);
        word error = become(chosen);
        fail(error == -ENOENT ? 127 : 126, "launch: cannot run ", *chosen);
    }
    pause_until_told();
    __builtin_unreachable();
}
