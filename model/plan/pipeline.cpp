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

// Micro-batches enter at chunk 0, and where they run both ways, the other half of them at the middle of the list.
bool enters(const PipelineProblem& p, std::int64_t chunk) {
  return chunk == 0 || (runs_both_ways(p.schedule) && chunk == p.stages);
}
bool leaves(const PipelineProblem& p, std::int64_t chunk) {
  return chunk + 1 == p.stages * p.chunks_per_stage || (runs_both_ways(p.schedule) && chunk + 1 == p.stages);
}
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
    const double on = leaves(p, c) || turns(p, c) ? 0 : transfer, back = enters(p, c) || turns(p, c - 1) ? 0 : transfer;
    const double backward = times.backward.in(second) + back, weight = times.weight.in(second);
    // The backward half of a pair sends as often as this chunk's own would: the other direction passes the same stages.
    list.push_back({times.forward.in(second) + on, backward, backward - weight, weight, times.paired.in(second) + on + back});
  }
  return list;
}

// Every stage runs its passes in order, each when its input has arrived.
class Simulation {
 public:
  Simulation(const PipelineProblem& p, std::int64_t micro_batches)
      : problem_(p), stages_(count(p.stages)), micro_batches_(count(micro_batches)),
        wait_(p.transfer_occupies || p.stages == 1 ? 0 : p.transfer.in(second)), durations_(durations(p)),
        forward_done_(p.chunks.size() * micro_batches_, kNever), backward_done_(forward_done_.size(), kNever) {
    OrderShape shape = p.shape();
    shape.micro_batches = micro_batches;
    for (std::int64_t s = 0; s < p.stages; ++s) {
      Stage& stage = state_.emplace_back();
      stage.order = order_of(shape, s);
      stage.finish.resize(stage.order.passes.size());
      for (std::int64_t own = 0; own < p.chunks_per_stage; ++own) stage.chunks.push_back(own_chunk(p.chunk_at(s, own)));
    }
    run();
  }

  double makespan() const {
    double end = 0;
    for (const Stage& s : state_) end = std::max(end, s.finish.back() - (stops_together() ? 0 : s.begin));
    return end;
  }
  double busy(std::size_t stage) const { return state_[stage].busy; }

  // Seconds from one beat of all stages to the next, if the last beats repeat exactly. A pass waits for passes at most two
  // beats back in another stage's order, so that three alike make all that follow alike. `beats`: taken together as one.
  std::optional<double> period(std::size_t beats) const {
    std::optional<double> step;
    for (const Stage& s : state_) {
      const std::size_t length = beat_length(s) * beats;
      if (s.order.drain < s.order.steady + 4 * length) return std::nullopt;
      for (std::size_t i = s.order.drain - 3 * length; i < s.order.drain; ++i) {
        const double further = s.finish[i] - s.finish[i - length];
        if (!step) step = further;
        if (std::abs(further - *step) > kRounding * s.finish[i]) return std::nullopt;
      }
    }
    return step;
  }
  // Of one beat.
  double busy_in_beat(std::size_t stage) const {
    const Stage& s = state_[stage];
    double sum = 0;
    for (std::size_t i = s.order.drain - beat_length(s); i < s.order.drain; ++i) sum += length_of(s, i);
    return sum;
  }

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
  static constexpr double kRounding = 1e-12;

  struct Own {
    Durations lengths;
    const double* input = nullptr;     // arrivals by micro-batch; null where it waits for nothing
    const double* gradient = nullptr;
    double *forward_done = nullptr, *backward_done = nullptr;
    double input_wait = 0, gradient_wait = 0;
  };
  struct Stage {
    StageOrder order;
    std::vector<Own> chunks;
    std::vector<double> finish;        // by pass
    std::size_t next = 0;
    double clock = 0, begin = kNever, busy = 0;
  };

  bool stops_together() const { return problem_.schedule != Schedule::zb_h2 && problem_.schedule != Schedule::zb_v; }

  Own own_chunk(std::int64_t chunk) {
    const std::size_t place = count(chunk) * micro_batches_;
    Own own{.lengths = durations_[count(chunk)], .forward_done = forward_done_.data() + place,
            .backward_done = backward_done_.data() + place};
    if (!enters(problem_, chunk)) {
      own.input = own.forward_done - micro_batches_;
      own.input_wait = turns(problem_, chunk - 1) ? 0 : wait_;
    }
    if (!leaves(problem_, chunk)) {
      own.gradient = own.backward_done + micro_batches_;
      own.gradient_wait = turns(problem_, chunk) ? 0 : wait_;
    }  // the last chunk's own forward lies before it in the order
    return own;
  }

  void run() {
    for (bool moved = true; moved;) {
      moved = false;
      // Gradients come from the stage behind: from the last to the first, one sweep hands them all the way.
      for (std::size_t s = stages_; s-- > 0;) moved |= run(state_[s]);
    }
    for (const Stage& s : state_) MOELINE_EXPECT(s.next == s.finish.size());  // no order here deadlocks
  }

  bool run(Stage& s) {
    const std::size_t from = s.next;
    while (s.next < s.finish.size() && step(s)) {}
    return s.next > from;
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
    double start = arrival(s, pass);
    if (pass.paired) start = std::max(start, arrival(s, s.order.passes[s.next + 1]));
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
  double wait_;
  std::vector<Durations> durations_;                   // by chunk in model order
  std::vector<double> forward_done_, backward_done_;   // when, by chunk and micro-batch
  std::vector<Stage> state_;
};

PipelineResult result_of(const PipelineProblem& p, const Simulation& simulation, double beats_left, double period) {
  PipelineResult result;
  result.makespan = (simulation.makespan() + period) * second;
  for (std::size_t s = 0; s < count(p.stages); ++s) {
    const double more = beats_left > 0 ? beats_left * simulation.busy_in_beat(s) : 0;
    result.busy.push_back((simulation.busy(s) + more) * second);
  }
  return result;
}

// Once the passes repeat from beat to beat, further beats add one period each.
PipelineResult in_beats(const PipelineProblem& p) {
  const std::int64_t m = p.micro_batches, one = beat(p.shape());
  // Waiting transfers make a beat of `stages` micro-batches, as interleaving does by its order.
  const std::int64_t beats = p.transfer_occupies ? 1 : std::max<std::int64_t>(1, p.stages / one), size = one * beats;
  for (std::int64_t least = 2 * p.stages + 4 * size + 2; ; least *= 2) {
    const std::int64_t left = least < m ? (m - least) / size : 0;
    const Simulation simulation(p, m - left * size);
    if (left == 0) return result_of(p, simulation, 0, 0);
    if (const auto period = simulation.period(count(beats))) {
      return result_of(p, simulation, static_cast<double>(left * beats), static_cast<double>(left) * *period);
    }
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

PipelineResult simulate(const PipelineProblem& p) {
  MOELINE_EXPECT(static_cast<std::int64_t>(p.chunks.size()) == p.stages * p.chunks_per_stage);
  return p.schedule == Schedule::gpipe ? gpipe(p) : in_beats(p);
}

std::vector<std::vector<TimedPass>> passes_of(const PipelineProblem& p) {
  const Simulation simulation(p, p.micro_batches);
  std::vector<std::vector<TimedPass>> stages;
  for (std::size_t s = 0; s < count(p.stages); ++s) stages.push_back(simulation.timed(s));
  return stages;
}

}  // namespace moeline
