// A shop's back end: documents with virtual functions in the standard containers, archived and
// never dropped.
#include <cstdint>
#include <deque>
#include <list>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "sample.h"

namespace shop
{

class Document
{
  public:
    explicit Document(std::uint64_t number) : number_(number)
    {
    }
    Document(const Document &) = delete;
    Document &operator=(const Document &) = delete;
    virtual ~Document() = default;
    virtual std::string title() const = 0;

  protected:
    std::uint64_t number_;
};

class Priced
{
  public:
    virtual ~Priced() = default;
    virtual double total() const = 0;
};

class Order : public Document, public Priced
{
  public:
    Order(std::uint64_t number, std::vector<double> prices)
        : Document(number), prices_(std::move(prices))
    {
    }
    std::string title() const override
    {
        return "order " + std::to_string(number_) + " from the web shop";
    }
    double total() const override
    {
        double sum = 0;
        for (double price : prices_) {
            sum += price;
        }
        return sum;
    }

  private:
    std::vector<double> prices_;
};

class Reminder final : public Document
{
  public:
    Reminder(std::uint64_t number, std::shared_ptr<Order> order)
        : Document(number), order_(std::move(order))
    {
    }
    std::string title() const override
    {
        return "reminder";
    }

  private:
    std::shared_ptr<Order> order_;
};

// Bigger than operator new's default alignment.
struct alignas(64) Counter {
    std::uint64_t hits = 0;
};

struct Event {
    std::uint64_t time;
    std::string what;
};

class Archive
{
  public:
    void add(std::uint64_t number, struct sample &sample)
    {
        std::vector<double> prices(sample_between(&sample.random, 1, 12));
        auto order = std::make_shared<Order>(number, std::move(prices));
        events_.push_back({number, order->title()});
        recent_.push_back(number);
        by_title_.emplace(order->title(), order);
        if (number % 3 == 0) {
            documents_.push_back(std::make_unique<Reminder>(number, order));
        }
        if (number % 16 == 0) {
            counters_.emplace(number, std::make_unique<Counter>());
        }
        orders_.emplace(number, std::move(order));
    }

    // What is dropped leaves holes behind; the shared orders stay as long as a reminder has them.
    void drop(std::uint64_t number)
    {
        auto found = orders_.find(number);
        if (found != orders_.end()) {
            by_title_.erase(found->second->title());
            orders_.erase(found);
        }
        if (!events_.empty()) {
            events_.pop_front();
        }
        if (!recent_.empty()) {
            recent_.pop_front();
        }
    }

  private:
    std::map<std::uint64_t, std::shared_ptr<Order>> orders_;
    std::unordered_map<std::string, std::weak_ptr<Order>> by_title_;
    std::map<std::uint64_t, std::unique_ptr<Counter>> counters_;
    std::vector<std::unique_ptr<Document>> documents_;
    std::list<Event> events_;
    std::deque<std::uint64_t> recent_;
};

} // namespace shop

static shop::Archive *g_archive;

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 5000);
    g_archive = new shop::Archive;
    for (std::uint64_t i = 0; i < sample.count; i++) {
        g_archive->add(i, sample);
        if (i % 4 == 0) {
            g_archive->drop(sample_random(&sample.random) % (i + 1));
        }
    }
    sample_ready();
}
