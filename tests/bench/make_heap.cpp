// Makes a heap of a known shape, says "ready <chunks>", and waits to be dumped.
//
//     make_heap list 20000000    nodes of about 96 bytes, linked in random order: every step of a
//                                walk along the list misses the caches
//     make_heap cxx 5000000      objects with virtual functions, strings, maps and vectors, as a
//                                C++ program makes them: most pointers lead near
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <vector>

namespace
{

class Random
{
  public:
    std::uint64_t next()
    {
        std::uint64_t mixed = state_ += 0x9e3779b97f4a7c15;
        mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
        mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
        return mixed ^ (mixed >> 31);
    }
    std::uint64_t below(std::uint64_t limit)
    {
        return next() % limit;
    }

  private:
    std::uint64_t state_ = 1;
};

// ---- list -----------------------------------------------------------------------------------

struct Node {
    Node *next;
    Node *friend_; // of two nodes in three: another one anywhere
    std::uint64_t number;
    char text[];
};

Node *g_first;

// The order of the links is a random permutation, kept outside the heap while it is needed.
std::uint64_t make_list(std::uint64_t count, Random &random)
{
    std::size_t order_bytes = count * sizeof(Node *);
    void *mapping =
        mmap(nullptr, order_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapping == MAP_FAILED) {
        std::abort();
    }
    auto *order = static_cast<Node **>(mapping);
    for (std::uint64_t i = 0; i < count; i++) {
        // Requests of 81 to 104 bytes: chunks of 96 and 112, 103 on average.
        std::size_t size = 81 + random.below(24);
        auto *node = static_cast<Node *>(std::malloc(size));
        if (!node) {
            std::abort();
        }
        std::memset(node, 0, size);
        node->number = i;
        order[i] = node;
    }
    for (std::uint64_t i = count - 1; i > 0; i--) {
        std::swap(order[i], order[random.below(i + 1)]);
    }
    for (std::uint64_t i = 0; i < count; i++) {
        order[i]->next = i + 1 < count ? order[i + 1] : nullptr;
        order[i]->friend_ = i % 3 != 0 ? order[random.below(count)] : nullptr;
    }
    g_first = order[0];
    munmap(mapping, order_bytes);
    return count;
}

// ---- cxx ------------------------------------------------------------------------------------

struct Shape {
    virtual ~Shape() = default;
    std::uint32_t color = 0;
};
struct Circle : Shape {
    double radius = 1;
};
struct Polygon : Shape {
    std::vector<double> points;
};
struct Label : Shape {
    std::string text;
};

// About eight chunks each: shape, points or text, shared count, map nodes, strings.
struct Page {
    std::vector<std::shared_ptr<Shape>> shapes;
    std::map<int, std::string> notes;
};

std::vector<std::unique_ptr<Page>> *g_pages;

std::shared_ptr<Shape> make_shape(Random &random, std::uint64_t &ret_chunks)
{
    switch (random.below(3)) {
    case 0:
        ret_chunks += 1;
        return std::make_shared<Circle>();
    case 1: {
        auto polygon = std::make_shared<Polygon>();
        polygon->points.resize(2 + random.below(8));
        ret_chunks += 2;
        return polygon;
    }
    default: {
        auto label = std::make_shared<Label>();
        label->text = "label number " + std::to_string(random.next());
        ret_chunks += 2;
        return label;
    }
    }
}

std::uint64_t make_cxx(std::uint64_t count, Random &random)
{
    std::uint64_t chunks = 1;
    g_pages = new std::vector<std::unique_ptr<Page>>;
    while (chunks < count) {
        auto page = std::make_unique<Page>();
        page->shapes.reserve(8);
        chunks += 2;
        for (int i = 0; i < 8; i++) {
            page->shapes.push_back(make_shape(random, chunks));
            page->notes[i] = "a note of some length, " + std::to_string(random.below(1000));
            chunks += 2;
        }
        g_pages->push_back(std::move(page));
    }
    return chunks;
}

[[noreturn]] void usage()
{
    std::fputs("usage: make_heap list|cxx COUNT\n", stderr);
    std::exit(64);
}

} // namespace

int main(int argc, char **argv)
{
    Random random;
    std::uint64_t chunks = 0;
    std::uint64_t count = argc == 3 ? std::strtoull(argv[2], nullptr, 10) : 0;
    if (count == 0) {
        usage();
    } else if (std::strcmp(argv[1], "list") == 0) {
        chunks = make_list(count, random);
    } else if (std::strcmp(argv[1], "cxx") == 0) {
        chunks = make_cxx(count, random);
    } else {
        usage();
    }
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    std::printf("ready %llu\n", static_cast<unsigned long long>(chunks));
    std::fflush(stdout);
    for (;;) {
        pause();
    }
}
