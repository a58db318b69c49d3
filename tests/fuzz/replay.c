/*
 * Runs a fuzz target over files, without libFuzzer: fuzz_<name> FILE-OR-FOLDER…
 * What once crashed is replayed by every test run.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz/fuzz.h"

enum { LARGEST_FILE_BYTES = 64 << 20 };

static bool replay_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = malloc(LARGEST_FILE_BYTES);
    bool is_read = file != NULL && bytes != NULL;
    if (is_read) {
        size_t size = fread(bytes, 1, LARGEST_FILE_BYTES, file);
        uint8_t *exact = realloc(bytes, size == 0 ? 1 : size);
        bytes = exact != NULL ? exact : bytes;
        LLVMFuzzerTestOneInput(bytes, size);
    } else {
        fprintf(stderr, "%s: %s\n", path, strerrordesc_np(errno));
    }
    free(bytes);
    if (file != NULL) {
        fclose(file);
    }
    return is_read;
}

static bool replay_folder(const char *path, unsigned *count)
{
    struct dirent **entries;
    int entry_count = scandir(path, &entries, NULL, alphasort);
    bool is_read = entry_count >= 0;
    for (int i = 0; i < entry_count; i++) {
        char name[4096];
        if (entries[i]->d_name[0] != '.') {
            snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
            is_read = replay_file(name) && is_read;
            ++*count;
        }
        free(entries[i]);
    }
    if (entry_count >= 0) {
        free(entries);
    }
    return is_read;
}

int main(int argument_count, char **arguments)
{
    bool is_read = true;
    unsigned count = 0;
    for (int i = 1; i < argument_count; i++) {
        struct stat status;
        if (stat(arguments[i], &status) == 0 && S_ISDIR(status.st_mode)) {
            is_read = replay_folder(arguments[i], &count) && is_read;
        } else {
            is_read = replay_file(arguments[i]) && is_read;
            count++;
        }
    }
    printf("%u inputs\n", count);
    return is_read && count > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
