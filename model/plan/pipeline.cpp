#include "plan/pipeline.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>

#include "error.hpp"

namespace moeline {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

std::size_t count(std::int64_t number) { return static_cast<std::size_t>(number); }

bool turns(const PipelineProblem& p, std::int64_t chunk) {  // hands over to its own stage
  return p.stages == 1 || (is_folded(p.schedule) && chunk + 1 == p.stages);
}

// Seconds a pass occupies its stage; the send too where it does.
struct Durations {
  double forward = 0, backward = 0, input = 0, weight = 0, paired = 0;
};

std::vector<Durations> durations(const PipelineProblem& p) {
  std::vector<Durations> list;
  for (std::int64_t c = 0; c < static_cast<std::int64_t>(p.chunks.size()); ++c) {
    const ChunkTimes& times = p.chunks[count(c)];
    const double transfer = p.transfer_occupies ? p.transfer.in(second) : 0;
    const double on = p.leaves(c) || turns(p, c) ? 0 : transfer, back = p.enters(c) || turns(p, c - 1) ? 0 : transfer;
    const double backward = times.backward.in(second) + back, weight = times.weight.in(second);
    // The backward half of a pair sends as often as this chunk's own would: the other direction passes the same stages.
    list.push_back({times.forward.in(second) + on, backward, backward - weight, weight, times.paired.in(second) + on + back});
  }
  return list;
}

// Every stage runs its passes in order, each when its input has arrived.
//
// Once all stages are in their beats, times grow by a constant from beat to beat, for every pass its own: a slow stage fills the
// pipe before it sets the pace. That holds until some pass comes to wait for another thing than before; until then beats are
// counted, not run.
class Simulation {
 public:
  // `micro_batches` are run, and `skip` spans of `beats` beats each between them, if they can be counted.
  Simulation(const PipelineProblem& p, StageOrders& orders, std::int64_t micro_batches, std::int64_t beats = 1, double skip = 0)
      : problem_(p), stages_(count(p.stages)), micro_batches_(count(micro_batches)), skip_(skip),
        wait_(p.transfer_occupies || p.stages == 1 ? 0 : p.transfer.in(second)), durations_(durations(p)),
        forward_done_(p.chunks.size() * micro_batches_, kNever), backward_done_(forward_done_.size(), kNever) {
    OrderShape shape = p.shape();
    shape.micro_batches = micro_batches;
    std::size_t passes = 0;
    state_.reserve(stages_);
    for (const StageOrder& order : orders.of(shape)) {
      state_.push_back({.order = order, .chunks = {}, .finish = {}});
      passes += order.passes.size();
    }
    finish_.resize(passes);
    own_.reserve(p.chunks.size());
    double* finish = finish_.data();
    for (std::int64_t s = 0; s < p.stages; ++s) {
      Stage& stage = state_[count(s)];
      stage.finish = {finish, stage.order.passes.size()};
      finish += stage.finish.size();
      stage.chunks = own_.data() + own_.size();
      for (std::int64_t own = 0; own < p.chunks_per_stage; ++own) own_.push_back(own_chunk(p.chunk_at(s, own)));
    }
    if (skip_ > 0) count_beats(count(beats));
    if (skip_ <= 0) run(kToTheEnd);
  }

  bool complete() const { return skip_ <= 0; }
  double makespan() const {
    double end = 0;
    for (const Stage& s : state_) end = std::max(end, s.finish.back() - (stops_together() ? 0 : s.begin));
    return end;
  }
  double busy(std::size_t stage) const { return state_[stage].busy; }

  std::vector<TimedPass> timed(std::size_t stage) const {
    const Stage& s = state_[stage];
    std::vector<TimedPass> list;
    for (std::size_t i = 0; i < s.finish.size(); ++i) {
      const bool second_half = i > 0 && s.order.passes[i - 1].paired;
      const double length = length_of(s, second_half ? i - 1 : i);
      list.push_back({s.order.passes[i], (s.finish[i] - length) * second, s.finish[i] * second});
    }
    return list;
  }

 private:
  static constexpr double kRounding = 1e-13;
  static constexpr std::size_t kToTheEnd = std::numeric_limits<std::size_t>::max();
  static constexpr std::size_t kAlike = 3;  // a pass waits for passes at most two beats back in another stage's order

  struct Own {
    Durations lengths;
    const double* input = nullptr;     // arrivals by micro-batch; null where it waits for nothing
    const double* gradient = nullptr;
    double *forward_done = nullptr, *backward_done = nullptr;
    double input_wait = 0, gradient_wait = 0;
  };
  struct Stage {
    const StageOrder& order;
    const Own* chunks;
    std::span<double> finish;          // by pass
    std::size_t next = 0;
    double clock = 0, begin = kNever, busy = 0;
  };

  bool stops_together() const { return problem_.schedule != Schedule::zb_h2 && problem_.schedule != Schedule::zb_v; }

  Own own_chunk(std::int64_t chunk) {
    const std::size_t place = count(chunk) * micro_batches_;
    Own own{.lengths = durations_[count(chunk)], .forward_done = forward_done_.data() + place,
            .backward_done = backward_done_.data() + place};
    if (!problem_.enters(chunk)) {
      own.input = own.forward_done - micro_batches_;
      own.input_wait = turns(problem_, chunk - 1) ? 0 : wait_;
    }
    if (!problem_.leaves(chunk)) {
      own.gradient = own.backward_done + micro_batches_;
      own.gradient_wait = turns(problem_, chunk) ? 0 : wait_;
    }  // the last chunk's own forward lies before it in the order
    return own;
  }

  // Spans of `length` passes a stage; all stages reach the end of the `spans`-th, or of the order.
  void run(std::size_t spans, std::size_t beats = 1) {
    for (bool moved = true; moved;) {
      moved = false;
      // Gradients come from the stage behind: from the last to the first, one sweep hands them all the way.
      for (std::size_t s = stages_; s-- > 0;) moved |= run_until(state_[s], end_of(state_[s], spans, beats));
    }
    for (const Stage& s : state_) MOELINE_EXPECT(s.next == end_of(s, spans, beats));  // no order here deadlocks
  }

  std::size_t end_of(const Stage& s, std::size_t spans, std::size_t beats) const {
    return spans == kToTheEnd ? s.finish.size() : s.order.steady + spans * beats * beat_length(s);
  }

  bool run_until(Stage& s, std::size_t end) {
    const std::size_t from = s.next;
    while (s.next < end && step(s)) {}
    return s.next > from;
  }

  // Runs span after span and counts those that it can, until `skip_` are.
  void count_beats(std::size_t beats) {
    for (std::size_t spans = 1; skip_ > 0; ++spans) {
      for (const Stage& s : state_) {
        if (end_of(s, spans, beats) > s.order.drain) return;
      }
      run(spans, beats);
      if (spans <= kAlike) continue;
      if (const double more = std::min(skip_, spans_alike(beats)); more >= 1) {
        for (Stage& s : state_) shift(s, beats * beat_length(s), more);
        skip_ -= more;
      }
    }
  }

  // How many spans to come grow as the last did: until a pass that waits less now would wait more.
  double spans_alike(std::size_t beats) const {
    double spans = kNever;
    for (const Stage& s : state_) {
      const std::size_t length = beats * beat_length(s);
      for (std::size_t i = s.next - length; i < s.next; ++i) {
        const double rounding = kRounding * s.finish[i], growth = s.finish[i] - s.finish[i - length];
        for (std::size_t back = 1; back < kAlike; ++back) {
          const std::size_t j = i - back * length;
          if (std::abs(s.finish[j] - s.finish[j - length] - growth) > rounding) return 0;
        }
        const bool second_half = s.order.passes[i - 1].paired;
        if (second_half) continue;  // starts with the first
        const double start = s.finish[i] - length_of(s, i);
        const auto limit = [&](double other, double before) {
          if (other - before > growth + rounding) spans = std::min(spans, std::floor((start - other) / (other - before - growth)));
        };
        limit(s.finish[i - 1], s.finish[i - 1 - length]);
        limit(start_of(s, i), start_of(s, i - length));
      }
    }
    return std::max(0.0, spans);
  }

  // When the inputs of a pass, or of both of a pair, have arrived.
  double start_of(const Stage& s, std::size_t i) const {
    const Pass& pass = s.order.passes[i];
    const double arrived = arrival(s, pass);
    return pass.paired ? std::max(arrived, arrival(s, s.order.passes[i + 1])) : arrived;
  }

  // What later passes may wait for, `spans` later.
  void shift(Stage& s, std::size_t length, double spans) {
    const std::size_t end = s.next;
    std::vector<double> growth(length);
    for (std::size_t i = 0; i < length; ++i) growth[i] = s.finish[end - length + i] - s.finish[end - 2 * length + i];
    for (std::size_t i = end - length; i < end; ++i) s.busy += spans * length_of(s, i);
    s.next = end - kAlike * length;
    while (s.next < end) {
      s.clock = s.finish[s.next] + spans * growth[(s.next + length - end % length) % length];
      finish(s, s.order.passes[s.next]);
    }
  }

  // When the input of a pass has arrived.
  double arrival(const Stage& s, const Pass& pass) const {
    const Own& own = s.chunks[static_cast<std::size_t>(pass.chunk)];
    const auto m = static_cast<std::size_t>(pass.micro_batch);
    if (pass.kind == PassKind::weight_gradient) return 0;
    if (pass.kind == PassKind::forward) return own.input != nullptr ? own.input[m] + own.input_wait : 0;
    return own.gradient != nullptr ? own.gradient[m] + own.gradient_wait : own.forward_done[m];
  }

  static double length_of(const Durations& lengths, const Pass& pass) {
    switch (pass.kind) {
      case PassKind::forward: return pass.paired ? lengths.paired : lengths.forward;
      case PassKind::backward: return lengths.backward;
      case PassKind::input_gradient: return lengths.input;
      case PassKind::weight_gradient: return lengths.weight;
    }
    return 0;
  }
  // Of a pair, the first of the two stands for both.
  double length_of(const Stage& s, std::size_t i) const {
    const Pass& pass = s.order.passes[i];
    if (i > 0 && s.order.passes[i - 1].paired) return 0;
    return length_of(s.chunks[static_cast<std::size_t>(pass.chunk)].lengths, pass);
  }

  bool step(Stage& s) {
    const Pass& pass = s.order.passes[s.next];
    double start = start_of(s, s.next);
    if (start == kNever) return false;
    start = std::max(start, s.clock);
    if (s.next == 0) s.begin = start;
    const double length = length_of(s.chunks[static_cast<std::size_t>(pass.chunk)].lengths, pass);
    s.clock = start + length;
    s.busy += length;
    finish(s, pass);
    if (pass.paired) finish(s, s.order.passes[s.next]);
    return true;
  }

  static void finish(Stage& s, const Pass& pass) {
    const Own& own = s.chunks[static_cast<std::size_t>(pass.chunk)];
    const auto m = static_cast<std::size_t>(pass.micro_batch);
    if (pass.kind == PassKind::forward) own.forward_done[m] = s.clock;
    if (pass.kind == PassKind::backward || pass.kind == PassKind::input_gradient) own.backward_done[m] = s.clock;
    s.finish[s.next++] = s.clock;
  }

  // Passes from beat to beat.
  std::size_t beat_length(const Stage& s) const {
    return count(beat(problem_.shape())) * s.finish.size() / micro_batches_;
  }

  const PipelineProblem& problem_;
  std::size_t stages_, micro_batches_;
  double skip_;                                        // spans left to be counted
  double wait_;
  std::vector<Durations> durations_;                   // by chunk in model order
  std::vector<double> forward_done_, backward_done_;   // when, by chunk and micro-batch
  std::vector<Own> own_;                               // of all stages, one after the other
  std::vector<double> finish_;                         // likewise
  std::vector<Stage> state_;
};

// As few micro-batches as it takes to count the others.
PipelineResult in_beats(const PipelineProblem& p, StageOrders& orders) {
  const std::int64_t m = p.micro_batches, one = beat(p.shape());
  // Waiting transfers make a beat of `stages` micro-batches, as interleaving does by its order.
  const std::int64_t beats = p.transfer_occupies ? 1 : std::max<std::int64_t>(1, p.stages / one), size = one * beats;
  for (std::int64_t least = 2 * p.stages + 5 * size + 2; ; least *= 2) {
    const std::int64_t left = least < m ? (m - least) / size : 0;
    const Simulation simulation(p, orders, m - left * size, beats, static_cast<double>(left));
    if (!simulation.complete()) continue;
    PipelineResult result{.makespan = simulation.makespan() * second, .busy = {}};
    for (std::size_t s = 0; s < count(p.stages); ++s) result.busy.push_back(simulation.busy(s) * second);
    return result;
  }
}

// All forwards, then all backwards: two flow shops of equal jobs, each the first one through and the slowest stage for the
// others.
PipelineResult gpipe(const PipelineProblem& p) {
  const std::vector<Durations> lengths = durations(p);
  const auto flow = [&](double Durations::*length) {
    double sum = p.transfer_occupies ? 0 : static_cast<double>(p.stages - 1) * p.transfer.in(second), longest = 0;
    for (const Durations& chunk : lengths) {
      sum += chunk.*length;
      longest = std::max(longest, chunk.*length);
    }
    return sum + static_cast<double>(p.micro_batches - 1) * longest;
  };
  PipelineResult result{.makespan = (flow(&Durations::forward) + flow(&Durations::backward)) * second, .busy = {}};
  for (const Durations& chunk : lengths) {
    result.busy.push_back(static_cast<double>(p.micro_batches) * (chunk.forward + chunk.backward) * second);
  }
  return result;
}

}  // namespace

std::int64_t PipelineProblem::chunk_at(std::int64_t stage, std::int64_t own) const {
  if (is_folded(schedule)) return own == 0 ? stage : 2 * stages - 1 - stage;
  // Chunk 0 of a stage is of the direction that enters on its side.
  if (runs_both_ways(schedule)) return (own == 0) == (2 * stage < stages) ? stage : 2 * stages - 1 - stage;
  return own * stages + stage;
}

bool PipelineProblem::enters(std::int64_t chunk) const { return chunk == 0 || (runs_both_ways(schedule) && chunk == stages); }
bool PipelineProblem::leaves(std::int64_t chunk) const {
  return chunk + 1 == stages * chunks_per_stage || (runs_both_ways(schedule) && chunk + 1 == stages);
}

PipelineResult simulate(const PipelineProblem& p) {
  StageOrders orders;
  return simulate(p, orders);
}

PipelineResult simulate(const PipelineProblem& p, StageOrders& orders) {
  MOELINE_EXPECT(static_cast<std::int64_t>(p.chunks.size()) == p.stages * p.chunks_per_stage);
  return p.schedule == Schedule::gpipe ? gpipe(p) : in_beats(p, orders);
}

std::vector<std::vector<TimedPass>> passes_of(const PipelineProblem& p) {
  StageOrders orders;
  const Simulation simulation(p, orders, p.micro_batches);
  std::vector<std::vector<TimedPass>> stages;
  for (std::size_t s = 0; s < count(p.stages); ++s) stages.push_back(simulation.timed(s));
  return stages;
}

}  // namespace moeline
