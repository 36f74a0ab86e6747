#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "clock.h"
#include "mount.h"
#include "mount_fixture.h"
#include "mountinfo.h"

static struct mount_fixture fixture;
static struct mount look;
static struct mount_sample sample;

static void set_up(void)
{
    fixture_set_up(&fixture);
    fault_install();
    ck_assert_int_eq(mount_init(&look, fixture.directory, ".primary"), 0);
}

static void tear_down(void)
{
    fixture_tear_down(&fixture);
}

static bool look_once(void)
{
    bool changed = mount_identify(&look, &sample);

    mount_read(&look, &sample);
    return changed;
}

static unsigned open_descriptors(void)
{
    DIR* dir = opendir("/proc/self/fd");
    unsigned count = 0;

    while (readdir(dir) != NULL) {
        count++;
    }
    closedir(dir);
    return count;
}

/* ------------------------------------------------- what the directory is */

START_TEST(a_directory_without_litefs_is_plain)
{
    int64_t before = clock_now_ms();

    ck_assert(look_once());
    ck_assert_int_eq(sample.kind, MOUNT_PLAIN);
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_ABSENT);
    ck_assert_uint_eq(sample.mnt_id, 0);
    ck_assert_uint_eq(sample.dev, 0);
    ck_assert_int_eq(sample.lag_ms, LAG_UNKNOWN);
    ck_assert_int_ge(sample.started_ms, before);
    ck_assert_int_eq(sample.err, 0);
    ck_assert(!sample.root_writable);
}
END_TEST

START_TEST(a_plain_directory_is_not_primary_by_its_mode)
{
    ck_assert_int_eq(chmod(fixture.directory, 0777), 0);
    look_once();
    ck_assert_int_eq(sample.kind, MOUNT_PLAIN);
    ck_assert(!sample.root_writable);
}
END_TEST

START_TEST(no_directory_is_missing)
{
    ck_assert_int_eq(rmdir(fixture.directory), 0);
    look_once();
    ck_assert_int_eq(sample.kind, MOUNT_MISSING);
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_ABSENT);
    ck_assert_int_eq(sample.err, 0);
}
END_TEST

START_TEST(a_file_in_its_place_is_missing)
{
    ck_assert_int_eq(rmdir(fixture.directory), 0);
    fixture_write(fixture.directory, "", 0);
    look_once();
    ck_assert_int_eq(sample.kind, MOUNT_MISSING);
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_ABSENT);
}
END_TEST

START_TEST(a_directory_that_comes_and_goes_is_followed)
{
    ck_assert(look_once());
    ck_assert(!look_once());
    ck_assert_int_eq(rmdir(fixture.directory), 0);
    ck_assert(look_once());
    ck_assert_int_eq(sample.kind, MOUNT_MISSING);
    ck_assert(!look_once());
    ck_assert_int_eq(mkdir(fixture.directory, 0755), 0);
    ck_assert(look_once());
    ck_assert_int_eq(sample.kind, MOUNT_PLAIN);
}
END_TEST

static const struct {
    int err;
    enum mount_kind kind;
} ROOT_ERRORS[] = {
    {ENOTCONN, MOUNT_DEAD},     {ECONNABORTED, MOUNT_DEAD},
    {EACCES, MOUNT_UNREADABLE}, {EIO, MOUNT_UNREADABLE},
    {EINTR, MOUNT_UNREADABLE},  {ENOMEM, MOUNT_UNREADABLE},
};
enum { ROOT_ERROR_COUNT = sizeof ROOT_ERRORS / sizeof *ROOT_ERRORS };

START_TEST(an_error_is_never_plain)
{
    enum mount_call call =
        _i < ROOT_ERROR_COUNT ? CALL_ROOT_STATX : CALL_ROOT_STATFS;
    int row = _i % ROOT_ERROR_COUNT;

    fault_inject(call, ROOT_ERRORS[row].err);
    look_once();
    ck_assert_int_eq(sample.kind, ROOT_ERRORS[row].kind);
    ck_assert_int_eq(sample.err, ROOT_ERRORS[row].err);
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_UNREADABLE);

    fault_inject(call, 0);
    ck_assert(look_once());
    ck_assert_int_eq(sample.kind, MOUNT_PLAIN);
    ck_assert_int_eq(sample.err, 0);
}
END_TEST

START_TEST(the_directory_is_classified_once)
{
    look_once();
    look_once();
    look_once();
    ck_assert_uint_eq(fault_count(CALL_ROOT_STATFS), 1);
    ck_assert_uint_eq(fault_count(CALL_ROOT_STATX), 3);
}
END_TEST

START_TEST(a_mount_over_the_directory_changes_its_identity)
{
    struct mount_identity bare;

    ck_assert_msg(fixture_unshare(), "no mount namespace: %s", strerror(errno));
    look_once();
    bare = look.identity;
    ck_assert_int_eq(mount("litefs", fixture.directory, "tmpfs", 0, "size=1m"),
                     0);
    ck_assert(look_once());
    ck_assert_int_eq(sample.kind, MOUNT_PLAIN);
    ck_assert_uint_ne(look.identity.mnt_id, bare.mnt_id);
    ck_assert_uint_ne(look.identity.dev, bare.dev);
    ck_assert_int_eq(umount(fixture.directory), 0);
    ck_assert(look_once());
    ck_assert_uint_eq(look.identity.mnt_id, bare.mnt_id);
}
END_TEST

START_TEST(a_mount_that_took_anothers_place_unseen_is_another)
{
    ck_assert_msg(fixture_unshare(), "no mount namespace: %s", strerror(errno));
    ck_assert_int_eq(mount("a", fixture.directory, "tmpfs", 0, NULL), 0);
    look_once();
    ck_assert_int_eq(umount(fixture.directory), 0);
    ck_assert_int_eq(mount("a", fixture.directory, "tmpfs", 0, NULL), 0);
    /* What the watch says; older kernels give the same numbers again. */
    mount_forget(&look);
    ck_assert(look_once());
}
END_TEST

/* --------------------------------------------------------- the file */

static const struct {
    const char* content;
    const char* hostname;
} NAMES[] = {
    {"node-a\n", "node-a"},
    {"node-a", "node-a"},
    {"node-a\r\n", "node-a"},
    {"", ""},
    {"\n", ""},
    {"a\nb\n", ""},
    {"a\x1b[1m\n", ""},
    {"a\x7f\n", ""},
    {"n\xc3\xb6"
     "de\n",
     "n\xc3\xb6"
     "de"},
};

START_TEST(a_file_that_can_be_read_is_present)
{
    fixture_write(fixture.primary, NAMES[_i].content,
                  strlen(NAMES[_i].content));
    look_once();
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_PRESENT);
    ck_assert_str_eq(sample.hostname, NAMES[_i].hostname);
}
END_TEST

START_TEST(a_name_as_long_as_allowed_is_kept)
{
    char name[HOSTNAME_MAX + 1] = {0};

    memset(name, 'x', HOSTNAME_MAX);
    fixture_name_primary(&fixture, name);
    look_once();
    ck_assert_str_eq(sample.hostname, name);
}
END_TEST

static const size_t TOO_LONG[] = {HOSTNAME_MAX + 1, HOSTNAME_MAX + 2, 4096};

START_TEST(a_longer_name_is_present_without_a_name)
{
    char name[4096];

    memset(name, 'x', sizeof name);
    fixture_write(fixture.primary, name, TOO_LONG[_i]);
    look_once();
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_PRESENT);
    ck_assert_str_eq(sample.hostname, "");
}
END_TEST

START_TEST(anything_but_a_file_is_unreadable)
{
    if (_i == 0) {
        ck_assert_int_eq(mkdir(fixture.primary, 0755), 0);
    } else {
        ck_assert_int_eq(mkfifo(fixture.primary, 0644), 0);
    }
    look_once();
    ck_assert_int_eq(sample.kind, MOUNT_PLAIN);
    ck_assert_int_eq(sample.primary_file, PRIMARY_FILE_UNREADABLE);
    ck_assert_str_eq(sample.hostname, "");
}
END_TEST

static const struct {
    enum mount_call call;
    int err;
    enum mount_kind kind;
    enum primary_file file;
} FILE_ERRORS[] = {
    /* LiteFS drops it between our calls: open() still succeeds then. */
    {CALL_PRIMARY_STAT, ENOENT, MOUNT_PLAIN, PRIMARY_FILE_ABSENT},
    {CALL_PRIMARY_OPEN, ENOENT, MOUNT_PLAIN, PRIMARY_FILE_ABSENT},
    {CALL_PRIMARY_READ, ENOENT, MOUNT_PLAIN, PRIMARY_FILE_ABSENT},
    {CALL_PRIMARY_STAT, EACCES, MOUNT_PLAIN, PRIMARY_FILE_UNREADABLE},
    {CALL_PRIMARY_OPEN, EACCES, MOUNT_PLAIN, PRIMARY_FILE_UNREADABLE},
    {CALL_PRIMARY_READ, EIO, MOUNT_PLAIN, PRIMARY_FILE_UNREADABLE},
    {CALL_PRIMARY_STAT, ENOTCONN, MOUNT_DEAD, PRIMARY_FILE_UNREADABLE},
    {CALL_PRIMARY_OPEN, ENOTCONN, MOUNT_DEAD, PRIMARY_FILE_UNREADABLE},
    {CALL_PRIMARY_READ, ECONNABORTED, MOUNT_DEAD, PRIMARY_FILE_UNREADABLE},
};

START_TEST(an_error_at_the_file_is_absent_only_for_enoent)
{
    fixture_name_primary(&fixture, "node-a");
    fault_inject(FILE_ERRORS[_i].call, FILE_ERRORS[_i].err);
    look_once();
    ck_assert_int_eq(sample.kind, FILE_ERRORS[_i].kind);
    ck_assert_int_eq(sample.primary_file, FILE_ERRORS[_i].file);
    ck_assert_str_eq(sample.hostname, "");
}
END_TEST

START_TEST(no_descriptor_stays_open)
{
    unsigned before = open_descriptors();

    fixture_name_primary(&fixture, "node-a");
    look_once();
    fault_inject(CALL_PRIMARY_READ, ENOTCONN);
    look_once();
    ck_assert_uint_eq(open_descriptors(), before);
}
END_TEST

START_TEST(paths_that_do_not_fit_are_refused)
{
    char path[PATH_MAX + 1];

    memset(path, 'x', sizeof path);
    path[0] = '/';
    path[PATH_MAX] = '\0';
    ck_assert_int_eq(mount_init(&look, path, ".primary"), -ENAMETOOLONG);
    path[PATH_MAX - 2] = '\0';
    ck_assert_int_eq(mount_init(&look, path, ".primary"), -ENAMETOOLONG);
}
END_TEST

START_TEST(the_root_directory_needs_no_second_slash)
{
    ck_assert_int_eq(mount_init(&look, "/", ".primary"), 0);
    ck_assert_str_eq(look.primary_path, "/.primary");
}
END_TEST

/* -------------------------------------------------------- mountinfo */

static const struct mountinfo_key BY_ID = {.has_id = true,
                                           .mnt_id = 36,
                                           .major = 98,
                                           .minor = 0};
static const struct mountinfo_key BY_DEVICE = {.major = 98, .minor = 0};

static const struct {
    const char* line;
    const char* source; /* NULL: not this mount */
} LINES[] = {
    {"36 35 98:0 / /data rw,noatime master:1 - fuse litefs rw\n", "litefs"},
    {"36 35 98:0 / /data rw - fuse litefs rw\n", "litefs"},
    {"36 35 98:0 / /a\\040-\\040b rw shared:1 master:2 - ext4 /dev/a rw\n",
     "/dev/a"},
    {"36 35 98:0 / /d rw - cifs //host/my\\040share\\134x rw\n",
     "//host/my share\\x"},
    {"36 35 98:0 / /d rw - tmpfs  rw\n", ""},
    {"36 35 98:0 / /d rw - fuse a\\04 rw\n", "a\\04"},
    {"37 36 99:0 / /data rw - fuse litefs rw\n", NULL},
    {"36 35 98:0 / /data rw\n", NULL},
    {"nonsense\n", NULL},
    {"", NULL},
};

START_TEST(mountinfo_gives_the_source)
{
    const struct mountinfo_key* keys[] = {&BY_ID, &BY_DEVICE};

    for (int i = 0; i < 2; i++) {
        char source[64] = "untouched";
        bool found =
            mountinfo_match(LINES[_i].line, keys[i], source, sizeof source);

        ck_assert_int_eq(found, LINES[_i].source != NULL);
        ck_assert_str_eq(source, found ? LINES[_i].source : "untouched");
    }
}
END_TEST

START_TEST(mountinfo_cuts_a_long_source)
{
    char source[7];

    ck_assert(mountinfo_match("36 35 98:0 / /d rw - fuse litefs-other rw\n",
                              &BY_ID, source, sizeof source));
    ck_assert_str_eq(source, "litefs");
}
END_TEST

START_TEST(mountinfo_of_this_machine_is_read)
{
    struct mountinfo_key key = {.has_id = true, .mnt_id = UINT64_MAX};
    char source[64];
    struct statx root;

    ck_assert_int_eq(mountinfo_source(&key, source, sizeof source), -ENOENT);
    ck_assert_int_eq(
        mount_call_statx(CALL_ROOT_STATX, "/proc", STATX_MNT_ID, &root), 0);
    key.mnt_id = root.stx_mnt_id;
    ck_assert_int_eq(mountinfo_source(&key, source, sizeof source), 0);
    ck_assert_str_eq(source, "proc");
    fault_inject(CALL_MOUNTINFO_OPEN, EACCES);
    ck_assert_int_eq(mountinfo_source(&key, source, sizeof source), -EACCES);
}
END_TEST

#define COUNT(rows) ((int)(sizeof(rows) / sizeof *(rows)))

static TCase* directory_tests(void)
{
    TCase* tcase = tcase_create("directory");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_test(tcase, a_directory_without_litefs_is_plain);
    tcase_add_test(tcase, a_plain_directory_is_not_primary_by_its_mode);
    tcase_add_test(tcase, no_directory_is_missing);
    tcase_add_test(tcase, a_file_in_its_place_is_missing);
    tcase_add_test(tcase, a_directory_that_comes_and_goes_is_followed);
    tcase_add_loop_test(tcase, an_error_is_never_plain, 0,
                        2 * ROOT_ERROR_COUNT);
    tcase_add_test(tcase, the_directory_is_classified_once);
    tcase_add_test(tcase, a_mount_over_the_directory_changes_its_identity);
    tcase_add_test(tcase, a_mount_that_took_anothers_place_unseen_is_another);
    return tcase;
}

static TCase* file_tests(void)
{
    TCase* tcase = tcase_create("files");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, a_file_that_can_be_read_is_present, 0,
                        COUNT(NAMES));
    tcase_add_test(tcase, a_name_as_long_as_allowed_is_kept);
    tcase_add_loop_test(tcase, a_longer_name_is_present_without_a_name, 0,
                        COUNT(TOO_LONG));
    tcase_add_loop_test(tcase, anything_but_a_file_is_unreadable, 0, 2);
    tcase_add_loop_test(tcase, an_error_at_the_file_is_absent_only_for_enoent,
                        0, COUNT(FILE_ERRORS));
    tcase_add_test(tcase, no_descriptor_stays_open);
    tcase_add_test(tcase, paths_that_do_not_fit_are_refused);
    tcase_add_test(tcase, the_root_directory_needs_no_second_slash);
    return tcase;
}

static TCase* mountinfo_tests(void)
{
    TCase* tcase = tcase_create("mountinfo");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, mountinfo_gives_the_source, 0, COUNT(LINES));
    tcase_add_test(tcase, mountinfo_cuts_a_long_source);
    tcase_add_test(tcase, mountinfo_of_this_machine_is_read);
    return tcase;
}

Suite* suite_mount(void);
Suite* suite_mount(void)
{
    Suite* suite = suite_create("mount");

    suite_add_tcase(suite, directory_tests());
    suite_add_tcase(suite, file_tests());
    suite_add_tcase(suite, mountinfo_tests());
    return suite;
}
