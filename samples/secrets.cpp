// A service that keeps what must not leave it: --text is a secret, and so is $SAMPLE_SECRET.
// Both lie in the heap, in globals and on the stack in every shape that a report could show.
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "sample.h"

namespace
{

struct Credential {
    virtual ~Credential() = default;
    char token[96] = {};
};

char g_token[256];
std::map<std::string, std::string> *g_sessions;
std::vector<char *> *g_texts;
std::vector<Credential *> *g_credentials;

void keep_text(const std::string &text)
{
    auto *copy = static_cast<char *>(std::malloc(text.size() + 1));
    g_texts->push_back(std::strcpy(copy, text.c_str()));
}

void keep(const std::string &secret, std::uint64_t number)
{
    std::string tagged = secret + std::to_string(number);
    keep_text(tagged);
    keep_text("/home/" + secret + "/.ssh/id_" + std::to_string(number));
    keep_text("https://example.org/login?token=" + tagged);
    keep_text("{\"password\": \"" + tagged + "\"}");
    keep_text("INSERT INTO users VALUES ('" + tagged + "')");
    keep_text("<password>" + tagged + "</password>");
    g_sessions->emplace(tagged, "expires never, belongs to " + secret);
    auto *credential = new Credential;
    std::strncpy(credential->token, tagged.c_str(), sizeof credential->token - 1);
    g_credentials->push_back(credential);
}

} // namespace

int main(int argc, char **argv)
{
    struct sample sample = sample_start(argc, argv, 200);
    const char *environment = std::getenv("SAMPLE_SECRET");
    g_sessions = new std::map<std::string, std::string>;
    g_texts = new std::vector<char *>;
    g_credentials = new std::vector<Credential *>;
    std::strncpy(g_token, sample.text, sizeof g_token - 1);
    for (std::uint64_t i = 0; i < sample.count; i++) {
        keep(sample.text, i);
        keep(environment ? environment : sample.text, i);
    }
    char on_stack[256] = {};
    std::strncpy(on_stack, sample.text, sizeof on_stack - 1);
    __asm__ volatile("" : : "r"(on_stack) : "memory");
    sample_ready();
}
