#include <catch2/catch.hpp>
#include <future>
#include <thread>

#include "engine/turns.hpp"
#include "error_of.hpp"
#include "thread_ranks.hpp"

namespace moeline {
namespace {

constexpr std::uint64_t kFirst = 17, kLast = 9000;

std::string numbers(std::uint64_t first, std::uint64_t last) {
  std::string text;
  for (std::uint64_t i = first; i < last; ++i) text += std::to_string(i) + "\n";
  return text;
}

struct Outcome {
  std::string text;
  std::uint64_t reached = 0;
  int missing = 0;
  std::vector<int> codes{};  // of the other ranks
};

// Rank 0 here, the others in threads, doing `work`; `let_go` is set when rank 0 has everything.
Outcome run(int size, const TurnWork& work, std::promise<void>* let_go = nullptr) {
  Boxes boxes;
  boxes.of_rank.resize(static_cast<std::size_t>(size));
  std::vector<std::future<int>> others;
  for (int rank = 1; rank < size; ++rank) {
    others.push_back(std::async(std::launch::async, [&boxes, &work, rank] {
      ThreadRanks ranks(boxes, rank);
      return take_turns(ranks, 1, work);
    }));
  }
  ThreadRanks ranks(boxes, 0);
  Turns turns(ranks);
  Outcome outcome;
  turns.hand_out(kFirst, kLast, 1, numbers, [&](std::uint64_t last, const std::string& result) {
    outcome.text += result;
    outcome.reached = last;
  });
  if (let_go != nullptr) let_go->set_value();
  outcome.missing = turns.dismiss(3);
  for (std::future<int>& other : others) outcome.codes.push_back(other.get());
  return outcome;
}

}  // namespace

TEST_CASE("turns of one, two and four ranks are consumed in order, and all end with the code of rank 0") {
  for (const int size : {1, 2, 4}) {
    CAPTURE(size);
    const Outcome outcome = run(size, numbers);
    CHECK(outcome.text == numbers(kFirst, kLast));
    CHECK(outcome.reached == kLast);
    CHECK(outcome.missing == 0);
    CHECK(outcome.codes == std::vector<int>(static_cast<std::size_t>(size - 1), 3));
  }
}

TEST_CASE("ranks that hang or fail in the middle of a turn hold up nobody") {
  std::promise<void> end;
  const std::shared_future<void> ended = end.get_future().share();
  const Outcome hanging = run(
      3,
      [&](std::uint64_t first, std::uint64_t last) {
        ended.wait();
        return numbers(first, last);
      },
      &end);
  CHECK(hanging.text == numbers(kFirst, kLast));
  CHECK(hanging.missing == 0);

  const Outcome failing = run(3, [](std::uint64_t, std::uint64_t) -> std::string { throw std::bad_alloc(); });
  CHECK(failing.text == numbers(kFirst, kLast));
  CHECK(failing.codes == std::vector{3, 3});
}

TEST_CASE("a rank that cannot read its input stops the run, and says which rank it is") {
  Boxes boxes;
  boxes.of_rank.resize(2);
  ThreadRanks zero(boxes, 0), one(boxes, 1);
  one.send(0, {.kind = 'p', .text = "s.json: cannot be read"});
  Turns turns(zero);
  CHECK(error_of([&] { turns.hand_out(0, 10, 1, numbers, [](std::uint64_t, const std::string&) {}); }) ==
        "rank 1: s.json: cannot be read");
}

}  // namespace moeline
