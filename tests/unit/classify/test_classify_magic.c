/* classify/classify_magic: each format by a sound start, and not by its magic alone. */
#include "unit/classify/fixture.h"

enum { BYTES = 104 };

/* `start`, then bytes that look compressed, or zeros. */
static const char *name_of(const char *start, size_t start_bytes, bool is_dense)
{
    uint8_t bytes[BYTES] = {0};
    for (size_t i = 0; is_dense && i < BYTES; i++) {
        bytes[i] = (uint8_t)(i * 37 + 129);
    }
    memcpy(bytes, start, start_bytes);
    return fixture_name_of(bytes, BYTES, BYTES);
}

#define ASSERT_FORMAT(start, name) \
    CU_ASSERT_STRING_EQUAL(name_of((start), sizeof(start) - 1, true), (name))

static void sound_starts_are_known(void)
{
    ASSERT_FORMAT("\x1f\x8b\x08\x00", "gzip data");
    ASSERT_FORMAT("\x78\x9c\x4b", "zlib data");
    ASSERT_FORMAT("\x78\xda\xed", "zlib data");
    ASSERT_FORMAT("\x78\x01\x01\x10\x00\xef\xff", "zlib data");
    ASSERT_FORMAT("\x28\xb5\x2f\xfd\x24", "Zstandard data");
    ASSERT_FORMAT("\xfd\x37zXZ\0", "xz data");
    ASSERT_FORMAT("BZh9\x31\x41\x59\x26\x53\x59", "bzip2 data");
    ASSERT_FORMAT("\x04\x22\x4d\x18", "LZ4 data");
    ASSERT_FORMAT("\x89PNG\r\n\x1a\n", "PNG image");
    ASSERT_FORMAT("\xff\xd8\xff\xe0", "JPEG image");
    ASSERT_FORMAT("GIF89a", "GIF image");
    ASSERT_FORMAT("GIF87a", "GIF image");
    ASSERT_FORMAT("RIFF\x10\0\0\0WEBP", "WebP image");
    ASSERT_FORMAT("RIFF\x10\0\0\0WAVE", "WAVE audio");
    ASSERT_FORMAT("II*\0\x08\0\0\0", "TIFF image");
    ASSERT_FORMAT("MM\0*\0\0\0\x08", "TIFF image");
    ASSERT_FORMAT("OggS\0", "Ogg stream");
    ASSERT_FORMAT("%PDF-1.7\n", "PDF document");
    ASSERT_FORMAT("PK\x03\x04\x14\0\0\0", "ZIP archive");
    ASSERT_FORMAT("\x7f"
                  "ELF\x02\x01\x01",
                  "ELF file");
    ASSERT_FORMAT("SQLite format 3\0", "SQLite database");
    ASSERT_FORMAT("\x80\x04\x95\x40\0\0\0\0\0\0\0", "Python pickle");
    ASSERT_FORMAT("\x80\x05\x95\x40\0\0\0\0\0\0\0", "Python pickle");
    ASSERT_FORMAT("\xca\xfe\xba\xbe\0\0\0\x37", "Java class file");
    ASSERT_FORMAT("\0asm\x01\0\0\0", "WebAssembly module");
}

static void short_magics_need_more(void)
{
    static const char other[] = "112-byte chunks";
    ASSERT_FORMAT("\x1f\x8b\x07\x00", other);
    ASSERT_FORMAT("\x78\x9c\x07", other);                 /* block type 3 */
    ASSERT_FORMAT("\x78\x01\x01\x10\x00\x10\x00", other); /* stored, wrong complement */
    ASSERT_FORMAT("\xff\xd8\xff\x01", other);
    ASSERT_FORMAT("BZh9\x31\x41\x59\x26\x53\x58", other);
    ASSERT_FORMAT("RIFF\x10\0\0\0ABCD", other);
    ASSERT_FORMAT("II*\0\0\0\0\x08", other);
    ASSERT_FORMAT("PK\x03\x04\xff\xff\0\0", other);
    ASSERT_FORMAT("\x7f"
                  "ELF\x03\x01\x01",
                  other);
    ASSERT_FORMAT("\x80\x04\x95\0\0\0\0\0\0\0\x01", other);
    ASSERT_FORMAT("\xca\xfe\xba\xbe\0\0\0\x02", other);
    ASSERT_FORMAT("\0asm\x02\0\0\0", other);
    ASSERT_FORMAT("\x28\xb5\x2f\xfd\x2c", other);
    CU_ASSERT_STRING_EQUAL(name_of("\x78\x9c\x4b", 3, false), other);
}

static void small_chunks_are_not_read_past_their_end(void)
{
    CU_ASSERT_STRING_EQUAL(fixture_name_of("\x1f\x8b\x08", 3, 24), "gzip data");
    CU_ASSERT_STRING_EQUAL(fixture_name_of("\x78\x9c\x4b", 3, 24), "32-byte chunks");
    CU_ASSERT_STRING_EQUAL(fixture_name_of("\xff\xd8\xff\xe0", 4, 24), "32-byte chunks");
}

static void one_name_is_one_population(void)
{
    struct fixture *f = fixture_create(4, 4096);
    uint32_t first = fixture_add(f, CW_CHUNK_USED, "GIF87a\x01", 7, 40);
    uint32_t second = fixture_add(f, CW_CHUNK_USED, "GIF89a\x01", 7, 40);
    fixture_finish(f);
    struct cw_classification c = fixture_classify(f);
    CU_ASSERT_PTR_EQUAL(cw_classification_of(&c, first), cw_classification_of(&c, second));
    CU_ASSERT_EQUAL(cw_classification_of(&c, first)->confidence, CW_PROBABLE);
    CU_ASSERT_EQUAL(cw_classification_of(&c, first)->kind, CW_POPULATION_CONTENT);
    cw_classification_destroy(&c);
    fixture_destroy(f);
}

CW_TEST_MAIN("classify/classify_magic",
             CW_TEST(sound_starts_are_known),
             CW_TEST(short_magics_need_more),
             CW_TEST(small_chunks_are_not_read_past_their_end),
             CW_TEST(one_name_is_one_population))
