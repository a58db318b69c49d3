// A small process with some of everything: threads with arenas of their own, containers, strings,
// chunks in every kind of bin, mmapped ones. Its core is small enough to be damaged thousands of
// times (tests/robust).
#include <cstdint>
#include <cstdlib>
#include <map>
#include <memory>
#include <pthread.h>
#include <string>
#include <unistd.h>
#include <unordered_map>
#include <vector>

#include "oracle.h"
#include "sample.h"

namespace crowd
{

struct Task {
    virtual ~Task() = default;
    std::string name;
    std::unique_ptr<Task> next;
};

struct UrgentTask : Task {
    std::uint64_t deadline = 0;
};

struct Worker {
    std::uint64_t random = 0;
    std::vector<std::shared_ptr<Task>> tasks;
    std::map<std::uint64_t, std::string> texts;
    std::unordered_map<std::string, std::vector<char>> buffers;
};

} // namespace crowd

static const unsigned worker_count = 4;
static crowd::Worker g_workers[worker_count];
static std::uint64_t g_count;
static pthread_barrier_t g_all;

static void fill(crowd::Worker &worker)
{
    for (std::uint64_t i = 0; i < g_count; i++) {
        std::shared_ptr<crowd::Task> task;
        if (i % 3 == 0) {
            task = std::make_shared<crowd::UrgentTask>();
        } else {
            task = std::make_shared<crowd::Task>();
            task->next = std::make_unique<crowd::UrgentTask>();
        }
        task->name = "a task of the crowd, number " + std::to_string(i);
        worker.tasks.push_back(task);
        worker.texts[i] = std::string(sample_between(&worker.random, 1, 400), 'x');
    }
    for (std::uint64_t i = 0; i < g_count / 20; i++) {
        size_t size = sample_between(&worker.random, 1000, 9000);
        worker.buffers["buffer " + std::to_string(i)].resize(size, 'y');
    }
}

static void thin_out(crowd::Worker &worker)
{
    for (std::size_t i = 0; i < worker.tasks.size(); i += 4) {
        worker.tasks[i].reset();
    }
    for (std::uint64_t i = 0; i < g_count; i += 3) {
        worker.texts.erase(i);
    }
    for (std::uint64_t i = 0; i < g_count / 20; i += 2) {
        worker.buffers.erase("buffer " + std::to_string(i));
    }
}

static void *work(void *argument)
{
    auto &worker = *static_cast<crowd::Worker *>(argument);
    oracle_enter_thread();
    fill(worker);
    thin_out(worker);
    pthread_barrier_wait(&g_all);
    for (;;) {
        pause();
    }
}

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 1500);
    g_count = sample.count;
    pthread_barrier_init(&g_all, nullptr, worker_count + 1);
    for (crowd::Worker &worker : g_workers) {
        pthread_t thread;
        worker.random = sample_random(&sample.random);
        if (pthread_create(&thread, nullptr, work, &worker) != 0) {
            std::abort();
        }
    }
    pthread_barrier_wait(&g_all);
    auto *large = new std::vector<char>(300000, 'z');
    crowd::Worker mine;
    mine.random = sample.random;
    fill(mine);
    thin_out(mine);
    sample_ready();
    delete large;
}
