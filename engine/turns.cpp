#include "engine/turns.hpp"

#include <fmt/format.h>

#include <algorithm>

#include "error.hpp"

namespace moeline {
namespace {

// A turn takes milliseconds and its messages tens of microseconds; rank 0 looks for messages sixteen times a turn.
constexpr std::uint64_t kTurn = 256, kLittle = 16;  // points a thread
constexpr std::size_t kOpen = 4;                    // turns a rank, so that memory is bounded

namespace from_0 {
constexpr char kTurn = 't';
}
namespace to_0 {
constexpr char kReady = 'r', kDone = 'd', kGaveUp = 'g', kProblem = 'p';
}

int serve_turns(Ranks& ranks, const TurnWork& work) {
  return follow(ranks, [&](const Message& message) {
    try {
      ranks.send(0, {to_0::kDone, message.first, message.last, work(message.first, message.last)});
    } catch (const std::exception&) {
      ranks.send(0, {.kind = to_0::kGaveUp});  // rank 0 will meet the same, and say it
    }
  });
}

}  // namespace

void Turns::hand_out(std::uint64_t first, std::uint64_t last, int threads, const TurnWork& work, const TurnDone& done) {
  next_ = first;
  last_ = last;
  while (next_ < last_ || !open_.empty()) {
    while (std::optional<Message> message = ranks_.poll()) hear(std::move(*message));
    give_turns();
    work_a_little(threads, work);
    while (!open_.empty() && open_.begin()->second.finished) {
      done(open_.begin()->second.last, open_.begin()->second.result);
      open_.erase(open_.begin());
    }
  }
}

void Turns::hear(Message message) {
  if (message.kind == to_0::kProblem) throw SpecError(fmt::format("rank {}", message.from), message.text);
  if (message.kind == to_0::kGaveUp) others_.erase(message.from);
  if (message.kind == to_0::kReady) others_[message.from].points = message.first;
  if (message.kind != to_0::kDone) return;
  Other& other = others_[message.from];
  other.busy = false;
  longest_ = std::max(longest_, Clock::now() - other.since);
  finish(message.first, std::move(message.text));
}

Turns::Open::iterator Turns::new_turn(std::uint64_t points) {
  if (next_ == last_ || open_.size() >= kOpen * static_cast<std::size_t>(ranks_.size)) return open_.end();
  const std::uint64_t first = next_;
  next_ = std::min(first + points, last_);
  return open_.emplace(first, Turn{.last = next_}).first;
}

void Turns::give_turns() {
  for (auto& [rank, other] : others_) {
    if (other.busy) continue;
    const auto turn = new_turn(other.points);
    if (turn == open_.end()) return;
    other.busy = true;
    other.since = Clock::now();
    ranks_.send(rank, {.kind = from_0::kTurn, .first = turn->first, .last = turn->second.last});
  }
}

void Turns::work_a_little(int threads, const TurnWork& work) {
  const auto known = open_.find(mine_.first);
  if (mine_.reached == mine_.last || known == open_.end() || known->second.finished) {
    auto turn = new_turn(kTurn * static_cast<std::uint64_t>(threads));
    if (turn == open_.end()) {
      turn = std::find_if(open_.begin(), open_.end(), [](const auto& open) { return !open.second.finished; });
    }
    if (turn == open_.end()) return;
    mine_ = {.first = turn->first, .reached = turn->first, .last = turn->second.last};
  }
  const std::uint64_t reach = std::min(mine_.reached + kLittle * static_cast<std::uint64_t>(threads), mine_.last);
  mine_.result += work(mine_.reached, reach);
  mine_.reached = reach;
  if (reach == mine_.last) finish(mine_.first, std::move(mine_.result));
}

void Turns::finish(std::uint64_t first, std::string result) {
  const auto turn = open_.find(first);
  if (turn == open_.end() || turn->second.finished) return;
  turn->second.finished = true;
  turn->second.result = std::move(result);
}

int Turns::dismiss(int code) { return moeline::dismiss(ranks_, code, longest_); }

int take_turns(Ranks& ranks, int threads, const TurnWork& work) {
  ranks.send(0, {.kind = to_0::kReady, .first = kTurn * static_cast<std::uint64_t>(threads)});
  return serve_turns(ranks, work);
}

int take_no_turns(Ranks& ranks, const std::string& problem) {
  ranks.send(0, {.kind = to_0::kProblem, .text = problem});
  return serve_turns(ranks, nullptr);
}

}  // namespace moeline
