#include "plan/training/stages.hpp"

#include <catch2/catch.hpp>
#include <chrono>
#include <numeric>
#include <string>

#include "spec/catalogue.hpp"

using namespace moeline;
using Catch::Contains;
using Catch::WithinRel;

namespace {

ModelSpec model_named(const std::string& name) {
  const Document document = find_model(name, name);
  return read_model(document.json, document.origin, name);
}

// Every layer takes one second, embedding, head and MTP what is given.
PartTimes alike(const ModelSpec& model, double embedding = 0, double head = 0, double mtp = 0) {
  return {std::vector<Seconds>(model.kinds.size(), 1 * second), embedding * second, head * second, mtp * second};
}

Chunks evenly(const ModelSpec& model, int mtp, std::int64_t chunks, const PartTimes& times) {
  return EvenCuts(model, mtp, times).chunks(chunks);
}
Chunks by_default(const ModelSpec& model, int mtp, std::int64_t chunks, const PartTimes& times) {
  return equal_chunks(model, mtp, chunks).value_or(evenly(model, mtp, chunks, times));
}

int layers_of(const StageContent& chunk) {
  return std::accumulate(chunk.layers_of_kind.begin(), chunk.layers_of_kind.end(), 0);
}

// Everything once: layers by kind, MTP modules, one embedding at the front, one head at the end.
void check_complete(const Chunks& chunks, const ModelSpec& model, int mtp) {
  std::vector<int> found(model.kinds.size()), expected(model.kinds.size());
  for (const int kind : model.layers) ++expected[static_cast<std::size_t>(kind)];
  int modules = 0;
  for (std::size_t c = 0; c < chunks.size(); ++c) {
    for (std::size_t k = 0; k < found.size(); ++k) found[k] += chunks[c].layers_of_kind[k];
    modules += chunks[c].mtp_modules;
    CHECK(chunks[c].embedding == (c == 0));
    CHECK(chunks[c].head == (c + 1 == chunks.size()));
  }
  CHECK(found == expected);
  CHECK(modules == mtp);
}

std::string refusal(const std::string& layout, const ModelSpec& model, std::int64_t mtp, std::int64_t chunks) {
  const auto parsed = parse_layout(layout, model, mtp, chunks);
  return std::holds_alternative<Infeasible>(parsed) ? std::get<Infeasible>(parsed).reason : "accepted";
}

}  // namespace

TEST_CASE("an even cut holds every layer exactly once, whatever the number of chunks", "[unit]") {
  for (const char* name : {"mixtral-8x7b", "deepseek-v3", "qwen3-next-80b-a3b"}) {
    const ModelSpec model = model_named(name);
    const int mtp = static_cast<int>(model.mtp_layers.size());
    for (const std::int64_t chunks : {1, 2, 3, 4, 7, 8, 16, 32}) {
      INFO(name << " in " << chunks);
      const Chunks cut = evenly(model, mtp, chunks, alike(model, 0.1, 1.5, 2));
      CHECK(cut.size() == static_cast<std::size_t>(chunks));
      check_complete(cut, model, mtp);
      const Chunks usual = by_default(model, mtp, chunks, alike(model, 0.1, 1.5, 2));
      CHECK(usual.size() == static_cast<std::size_t>(chunks));
      check_complete(usual, model, mtp);
    }
  }
}

TEST_CASE("equal layers are cut equally", "[unit]") {
  const ModelSpec model = model_named("mixtral-8x7b");  // 32 layers
  for (const StageContent& chunk : evenly(model, 0, 8, alike(model))) CHECK(layers_of(chunk) == 4);
  for (const StageContent& chunk : by_default(model, 0, 8, alike(model, 1, 1))) CHECK(layers_of(chunk) == 4);
}

TEST_CASE("an even cut gives the chunk with a heavy head fewer layers", "[unit]") {
  const ModelSpec model = model_named("mixtral-8x7b");
  const Chunks chunks = evenly(model, 0, 4, alike(model, 0, 4));  // 36 seconds in all: 9 each
  CHECK(layers_of(chunks[0]) == 9);
  CHECK(layers_of(chunks[1]) == 9);
  CHECK(layers_of(chunks[2]) == 9);
  CHECK(layers_of(chunks[3]) == 5);
}

TEST_CASE("embedding and loss take the place of a layer each where that comes out", "[unit]") {
  const ModelSpec model = model_named("llama-3.1-405b");  // 126 layers and 2 ends: 128 places
  const Chunks chunks = by_default(model, 0, 16, alike(model, 0.1, 1.5));
  CHECK(layers_of(chunks.front()) == 7);
  CHECK(layers_of(chunks[1]) == 8);
  CHECK(layers_of(chunks.back()) == 7);
}

TEST_CASE("the published layout of DeepSeek-V3 is read", "[unit]") {
  const ModelSpec model = model_named("deepseek-v3");
  const auto parsed = parse_layout("Et*4|(t*4|)*14tmL", model, 1, 16);
  REQUIRE(std::holds_alternative<Chunks>(parsed));
  const Chunks& chunks = std::get<Chunks>(parsed);
  CHECK(chunks.size() == 16);
  check_complete(chunks, model, 1);
  for (std::size_t c = 0; c < 15; ++c) CHECK(layers_of(chunks[c]) == 4);  // 4 + 14 x 4 + 1 = 61
  CHECK(layers_of(chunks[15]) == 1);
  CHECK(chunks[15].mtp_modules == 1);
  CHECK(chunks[0].layers_of_kind == KindCounts{3, 1});  // three dense layers, then experts
}

TEST_CASE("equal layouts may be written differently", "[unit]") {
  const ModelSpec model = model_named("mixtral-8x7b");
  for (const char* layout : {"Et*16|t*16L", "E(t*8)*2|((t*4)*2)*2L", "E t*16 | t*16, L"}) {
    INFO(layout);
    const auto parsed = parse_layout(layout, model, 0, 2);
    REQUIRE(std::holds_alternative<Chunks>(parsed));
    CHECK(layers_of(std::get<Chunks>(parsed)[0]) == 16);
  }
}

TEST_CASE("a layout that does not hold the model says what it holds", "[unit]") {
  const ModelSpec model = model_named("mixtral-8x7b");
  CHECK_THAT(refusal("Et*16|t*15L", model, 0, 2),
             Contains("holds 31 layers and 0 MTP modules; the model has 32 and 0"));
  CHECK_THAT(refusal("Et*16|t*16mL", model, 0, 2), Contains("1 MTP modules"));
  CHECK_THAT(refusal("t*16E|t*16L", model, 0, 2), Contains("in the order E t"));
  CHECK_THAT(refusal("Et*16|t*16L", model, 0, 4), Contains("has 2 chunks, pp x vpp is 4"));
}

TEST_CASE("a malformed layout is refused", "[unit]") {
  const ModelSpec model = model_named("mixtral-8x7b");
  for (const char* layout : {"(", ")", "Et*", "Et*x", "E(t*16|t*16L", "Et*16)|t*16L", "Et*16|t*16L*", "*4", "Et**4",
                             "Etx", "et", "Et*-1", "Et*1.5", "((((((((((t))))))))))", "E\nt*32L"}) {
    INFO(layout);
    CHECK(refusal(layout, model, 0, 2) != "accepted");
  }
}

TEST_CASE("a layout that repeats without end is refused at once", "[unit]") {
  const ModelSpec model = model_named("mixtral-8x7b");
  std::string empties, discarded;
  for (int i = 0; i < 20000; ++i) empties += "()*999999";
  for (int i = 0; i < 20000; ++i) discarded += "(t*99999)*0";
  const auto start = std::chrono::steady_clock::now();
  for (const std::string& layout : {std::string("Et*99999999999999999999L"),
                                    std::string("(((((((t*99999)*99999)*99999)*99999)*99999)*99999)*99999)*99999"),
                                    std::string(1000000, '('), empties, discarded}) {
    CHECK(refusal(layout, model, 0, 2) != "accepted");
  }
  CHECK(std::chrono::steady_clock::now() - start < std::chrono::seconds(2));
}
