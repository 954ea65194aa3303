#include "plan/pipeline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>

#include "error.hpp"

namespace moeline {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

std::size_t count(std::int64_t number) { return static_cast<std::size_t>(number); }

std::int64_t warm_up(const PipelineProblem& p, std::int64_t stage, std::int64_t micro_batches) {
  const std::int64_t all = micro_batches * p.chunks_per_stage;
  if (p.schedule == Schedule::gpipe) return all;
  if (p.chunks_per_stage == 1) return std::min(all, p.stages - stage - 1);
  return std::min(all, 2 * (p.stages - stage - 1) + (p.chunks_per_stage - 1) * p.stages);
}

// Seconds a pass occupies its stage, by chunk in model order; the send too where it does.
std::vector<double> durations(const PipelineProblem& p, bool forward) {
  std::vector<double> list;
  const std::size_t end = forward ? p.chunks.size() - 1 : 0;  // sends nothing
  for (std::size_t c = 0; c < p.chunks.size(); ++c) {
    const bool sends = p.transfer_occupies && p.stages > 1 && c != end;
    list.push_back(((forward ? p.chunks[c].forward : p.chunks[c].backward) + (sends ? p.transfer : Seconds{})).in(second));
  }
  return list;
}

// Walks the order of one stage's forwards: groups of `stages` micro-batches, within a group chunk after chunk.
// Backwards take the same order with the chunks reversed.
struct Cursor {
  std::size_t stages, chunks, micro_batches;
  std::size_t first = 0, last = std::min(stages, micro_batches);  // of the group
  std::size_t chunk = 0, micro_batch = 0;

  void next() {
    if (++micro_batch < last) return;
    if (++chunk == chunks) {
      chunk = 0;
      first = last;
      last = std::min(first + stages, micro_batches);
    }
    micro_batch = first;
  }
};

struct StageState {
  Cursor forward, backward;
  std::size_t forwards = 0, backwards = 0;  // done
  std::size_t warm_up = 0;
  double clock = 0;
};

// 1F1B, interleaved or not: every stage runs its passes in order, each when its input has arrived.
class Simulation {
 public:
  Simulation(const PipelineProblem& p, std::int64_t micro_batches)
      : stages_(count(p.stages)), chunks_(count(p.chunks_per_stage)), micro_batches_(count(micro_batches)),
        all_(chunks_ * micro_batches_), wait_(p.transfer_occupies || p.stages == 1 ? 0 : p.transfer.in(second)),
        forward_(durations(p, true)), backward_(durations(p, false)),
        forward_done_(p.chunks.size() * micro_batches_, kNever), backward_done_(forward_done_.size(), kNever) {
    const Cursor begin{stages_, chunks_, micro_batches_};
    for (std::int64_t s = 0; s < p.stages; ++s) {
      state_.push_back({.forward = begin, .backward = begin, .warm_up = count(warm_up(p, s, micro_batches))});
    }
    bool moved = true;
    while (moved) {
      moved = false;
      // Gradients come from the stage behind: from the last to the first, one sweep hands them all the way.
      for (std::size_t s = stages_; s-- > 0;) moved |= run(s);
    }
    for (const StageState& s : state_) {
      MOELINE_EXPECT(s.backwards == all_);  // schedules here cannot deadlock for m >= stages or v = 1
    }
  }

  double makespan() const {
    double end = 0;
    for (const StageState& s : state_) end = std::max(end, s.clock);
    return end;
  }

  // Seconds from one group of `size` micro-batches to the next, if every pass of two groups in a row runs exactly that
  // long after its like in the group before. What further micro-batches would change lies after these groups: a pass
  // waits for passes at most `stages` places further down another stage's order, and passes drain from the first stage on.
  std::optional<double> period(std::size_t size) const {
    const std::size_t unlike = state_[0].warm_up + (chunks_ > 1 ? stages_ : 0);
    const std::size_t alike = unlike < all_ ? (all_ - unlike) / (chunks_ * size) * size : 0;  // micro-batches
    if (alike < 3 * size) return std::nullopt;
    const double step = backward_done_[alike - 1] - backward_done_[alike - 1 - size];
    for (const std::vector<double>* done : {&forward_done_, &backward_done_}) {
      for (std::size_t c = 0; c < stages_ * chunks_; ++c) {
        const double* const of_chunk = done->data() + c * micro_batches_;
        for (std::size_t m = alike - 2 * size; m < alike; ++m) {
          if (std::abs(of_chunk[m] - of_chunk[m - size] - step) > kRounding * of_chunk[m]) return std::nullopt;
        }
      }
    }
    return step;
  }

 private:
  static constexpr double kRounding = 1e-12;

  std::size_t chunk_of(std::size_t stage, std::size_t own) const { return own * stages_ + stage; }

  bool run(std::size_t stage) {
    StageState& s = state_[stage];
    bool moved = false;
    while (true) {
      const bool forward = s.forwards < all_ && s.forwards - s.backwards <= s.warm_up;
      if (!forward && s.backwards == all_) return moved;
      if (!(forward ? run_forward(s, stage) : run_backward(s, stage))) return moved;
      moved = true;
    }
  }

  bool run_forward(StageState& s, std::size_t stage) {
    const std::size_t chunk = chunk_of(stage, s.forward.chunk), place = chunk * micro_batches_ + s.forward.micro_batch;
    if (chunk > 0) {
      const double input = forward_done_[place - micro_batches_];
      if (input == kNever) return false;
      s.clock = std::max(s.clock, input + wait_);
    }
    s.clock += forward_[chunk];
    forward_done_[place] = s.clock;
    s.forward.next();
    ++s.forwards;
    return true;
  }

  bool run_backward(StageState& s, std::size_t stage) {
    const std::size_t chunk = chunk_of(stage, chunks_ - 1 - s.backward.chunk);
    const std::size_t place = chunk * micro_batches_ + s.backward.micro_batch;
    if (chunk + 1 < stages_ * chunks_) {
      const double gradient = backward_done_[place + micro_batches_];
      if (gradient == kNever) return false;
      s.clock = std::max(s.clock, gradient + wait_);
    }  // the last chunk's own forward lies before it in the order
    s.clock += backward_[chunk];
    backward_done_[place] = s.clock;
    s.backward.next();
    ++s.backwards;
    return true;
  }

  std::size_t stages_, chunks_, micro_batches_, all_;  // all_: forwards of one stage
  double wait_;
  std::vector<double> forward_, backward_;             // seconds, by chunk in model order
  std::vector<double> forward_done_, backward_done_;   // when, by chunk and micro-batch
  std::vector<StageState> state_;
};

// Once the passes repeat from group to group, further groups add one period each.
double one_f_one_b(const PipelineProblem& p) {
  const std::int64_t m = p.micro_batches, stages = p.stages, interleaved = p.chunks_per_stage > 1;
  // Waiting transfers make a beat of `stages` micro-batches, as interleaving does by its order.
  const std::int64_t size = interleaved || !p.transfer_occupies ? stages : 1;
  for (std::int64_t least = 2 * stages + 3 * size + (interleaved ? 0 : 2); ; least *= 2) {
    const std::int64_t groups_left = least < m ? (m - least) / size : 0;
    const Simulation simulation(p, m - groups_left * size);
    if (groups_left == 0) return simulation.makespan();
    if (const auto period = simulation.period(count(size))) return simulation.makespan() + static_cast<double>(groups_left) * *period;
  }
}

// All forwards, then all backwards: two flow shops of equal jobs, each the first one through and the slowest stage for the
// others.
double gpipe(const PipelineProblem& p) {
  const double waits = p.transfer_occupies ? 0 : static_cast<double>(p.stages - 1) * p.transfer.in(second);
  double sum = 0;
  for (const bool forward : {true, false}) {
    double longest = 0;
    for (const double length : durations(p, forward)) {
      sum += length;
      longest = std::max(longest, length);
    }
    sum += waits + static_cast<double>(p.micro_batches - 1) * longest;
  }
  return sum;
}

}  // namespace

PipelineResult simulate(const PipelineProblem& p) {
  MOELINE_EXPECT(static_cast<std::int64_t>(p.chunks.size()) == p.stages * p.chunks_per_stage);
  PipelineResult result;
  result.busy.resize(count(p.stages));
  const std::vector<double> forward = durations(p, true), backward = durations(p, false);
  for (std::size_t c = 0; c < p.chunks.size(); ++c) {
    result.busy[c % result.busy.size()] += static_cast<double>(p.micro_batches) * (forward[c] + backward[c]) * second;
  }
  result.makespan = (p.schedule == Schedule::gpipe ? gpipe(p) : one_f_one_b(p)) * second;
  return result;
}

double chunks_in_flight(const PipelineProblem& p, std::int64_t stage) {
  const std::int64_t all = p.micro_batches * p.chunks_per_stage;
  return static_cast<double>(std::min(all, warm_up(p, stage, p.micro_batches) + 1));
}

}  // namespace moeline
