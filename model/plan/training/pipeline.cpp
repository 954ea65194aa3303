#include "plan/training/pipeline.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "error.hpp"

namespace moeline {
namespace {

std::size_t count(std::int64_t number) { return static_cast<std::size_t>(number); }

// Seconds a pass occupies its stage, the send too where it does.
struct Lengths {
  std::vector<double> list;  // by chunk, and within it as PassLength
  double of(std::size_t chunk, PassLength which) const { return list[chunk * kPassLengths + static_cast<std::size_t>(which)]; }
};

Lengths lengths_of(const PipelineProblem& p) {
  Lengths lengths;
  lengths.list.reserve(p.chunks.size() * kPassLengths);
  const OrderShape shape = p.shape();
  const double transfer = p.transfer_occupies ? p.transfer.in(second) : 0;
  for (std::int64_t c = 0; c < static_cast<std::int64_t>(p.chunks.size()); ++c) {
    const ChunkTimes& times = p.chunks[count(c)];
    const double on = shape.leaves(c) || shape.turns(c) ? 0 : transfer, back = shape.enters(c) || shape.turns(c - 1) ? 0 : transfer;
    const double forward = times.forward.in(second) + on, backward = times.backward.in(second) + back, weight = times.weight.in(second);
    // The backward half of a pair sends as often as this chunk's own would: the other direction passes the same stages.
    const double paired = times.paired.in(second) + on + back;
    lengths.list.insert(lengths.list.end(), {forward, backward, backward - weight, weight, paired});
  }
  return lengths;
}

// Every stage runs its passes in order, each when its input has arrived.
//
// Once all stages are in their beats, times grow by a constant from beat to beat, for every pass its own: a slow stage fills the
// pipe before it sets the pace. That holds until some pass comes to wait for another thing than before; until then beats are
// counted, not run.
class Simulation {
 public:
  // `skip` spans of beats between those of the graph, if they can be counted.
  Simulation(const PipelineProblem& p, const PassGraph& graph, double skip = 0)
      : graph_(graph), lengths_(lengths_of(p)), lags_{0, p.transfer_occupies || p.stages == 1 ? 0 : p.transfer.in(second)},
        stops_together_(p.schedule != Schedule::zb_h2 && p.schedule != Schedule::zb_v), skip_(skip), finish_(new double[graph.nodes.size()]) {
    for (const PassGraph::Stage& s : graph.stages) finish_[s.first - 1] = 0;  // all else is written before it is read
    if (skip > 0) count_beats();
    if (skip_ > 0) return;
    skipped_ = skip;
    walk_to(graph_.sequence.size());
  }

  bool complete() const { return skip_ <= 0; }
  double makespan() const {
    double end = 0;
    for (const PassGraph::Stage& s : graph_.stages) {
      const double begin = stops_together_ ? 0 : finish_[s.first] - length(s.first);
      end = std::max(end, finish_[s.end - 1] - begin);
    }
    return end;
  }
  double busy(std::size_t stage) const {
    double sum = 0;
    for (const PassGraph::Use& use : graph_.stages[stage].uses) sum += (use.in_all + skipped_ * use.in_a_span) * lengths_.list[use.length];
    return sum;
  }

  std::vector<TimedPass> timed(std::size_t stage, const StageOrder& order) const {
    const PassGraph::Stage& s = graph_.stages[stage];
    std::vector<TimedPass> list;
    for (std::size_t slot = s.first; slot < s.end; ++slot) {
      const double finish = finish_[slot], start = finish - length(follows(slot) ? slot - 1 : slot);
      list.push_back({order.passes[slot - s.first], start * second, finish * second});
    }
    return list;
  }

 private:
  static constexpr double kRounding = 1e-13;
  static constexpr std::size_t kAlike = 3;  // a pass waits for passes at most two beats back in another stage's order

  double length(std::size_t slot) const { return lengths_.list[graph_.nodes[slot].length]; }
  bool follows(std::size_t slot) const { return graph_.nodes[slot - 1].paired; }  // in one with the slot before it

  double arrival(const PassGraph::Node& node) const { return finish_[node.input] + lags_[node.sent ? 1 : 0]; }
  // When the inputs of a pass, or of both of a pair, have arrived.
  double arrival(std::size_t slot) const {
    const PassGraph::Node& node = graph_.nodes[slot];
    return node.paired ? std::max(arrival(node), arrival(graph_.nodes[slot + 1])) : arrival(node);
  }

  void walk_to(std::size_t end) {
    const std::uint32_t* const sequence = graph_.sequence.data();
    double* const finish = finish_.get();
    for (std::size_t at = std::exchange(at_, std::max(at_, end)); at < end; ++at) {
      const std::size_t slot = sequence[at];
      const double done = std::max(finish[slot - 1], arrival(slot)) + length(slot);
      finish[slot] = done;
      if (graph_.nodes[slot].paired) finish[slot + 1] = done;
    }
  }

  // Runs span after span and counts those that it can, until all of `skip_` are.
  void count_beats() {
    for (std::size_t span = 1; skip_ > 0 && span <= graph_.spans.size(); ++span) {
      walk_to(graph_.spans[span - 1]);
      if (span <= kAlike) continue;
      const double more = std::min(skip_, spans_alike(span));
      if (more < 1) continue;
      for (const PassGraph::Stage& s : graph_.stages) shift(s, s.steady + span * s.span, more);
      skip_ -= more;
    }
  }

  // How many spans to come grow as the last did: until a pass that waits less now would wait more.
  double spans_alike(std::size_t span) const {
    double spans = std::numeric_limits<double>::infinity();
    for (const PassGraph::Stage& s : graph_.stages) {
      const std::size_t next = s.steady + span * s.span;
      for (std::size_t i = next - s.span; i < next; ++i) {
        const double rounding = kRounding * finish_[i], growth = finish_[i] - finish_[i - s.span];
        for (std::size_t back = 1; back < kAlike; ++back) {
          const std::size_t j = i - back * s.span;
          if (std::abs(finish_[j] - finish_[j - s.span] - growth) > rounding) return 0;
        }
        if (follows(i)) continue;  // starts with the first
        const double start = finish_[i] - length(i);
        const auto limit = [&](double other, double before) {
          if (other - before > growth + rounding) spans = std::min(spans, std::floor((start - other) / (other - before - growth)));
        };
        limit(finish_[i - 1], finish_[i - 1 - s.span]);
        limit(arrival(i), arrival(i - s.span));
      }
    }
    return std::max(0.0, spans);
  }

  // What later passes may wait for, `spans` later.
  void shift(const PassGraph::Stage& s, std::size_t end, double spans) {
    for (std::size_t i = end; i-- > end - s.span;) {  // from behind: what it grew by stands before it yet
      const double later = spans * (finish_[i] - finish_[i - s.span]);
      for (std::size_t back = 0; back < kAlike; ++back) finish_[i - back * s.span] += later;
    }
  }

  const PassGraph& graph_;
  Lengths lengths_;
  std::array<double, 2> lags_;    // of what the stage itself made, and of what was sent
  bool stops_together_;
  double skip_, skipped_ = 0;     // spans left to be counted, and counted
  std::size_t at_ = 0;            // in the sequence
  std::unique_ptr<double[]> finish_;  // by slot
};

// As few micro-batches as it takes to count the others.
PipelineResult in_beats(const PipelineProblem& p, PassGraphs& graphs) {
  OrderShape shape = p.shape();
  const std::int64_t m = p.micro_batches, one = beat(shape);
  // Waiting transfers make a beat of `stages` micro-batches, as interleaving does by its order.
  const std::int64_t beats = p.transfer_occupies ? 1 : std::max<std::int64_t>(1, p.stages / one), size = one * beats;
  for (std::int64_t least = 2 * p.stages + 5 * size + 2; ; least *= 2) {
    const std::int64_t left = least < m ? (m - least) / size : 0;
    shape.micro_batches = m - left * size;
    const Simulation simulation(p, graphs.of(shape, beats), static_cast<double>(left));
    if (!simulation.complete()) continue;
    PipelineResult result{.makespan = simulation.makespan() * second, .busy = {}};
    result.busy.reserve(count(p.stages));
    for (std::size_t s = 0; s < count(p.stages); ++s) result.busy.push_back(simulation.busy(s) * second);
    return result;
  }
}

// All forwards, then all backwards: two flow shops of equal jobs, each the first one through and the slowest stage for the
// others.
PipelineResult gpipe(const PipelineProblem& p) {
  const Lengths lengths = lengths_of(p);
  const auto flow = [&](PassLength which) {
    double sum = p.transfer_occupies ? 0 : static_cast<double>(p.stages - 1) * p.transfer.in(second), longest = 0;
    for (std::size_t chunk = 0; chunk < p.chunks.size(); ++chunk) {
      sum += lengths.of(chunk, which);
      longest = std::max(longest, lengths.of(chunk, which));
    }
    return sum + static_cast<double>(p.micro_batches - 1) * longest;
  };
  PipelineResult result{.makespan = (flow(PassLength::forward) + flow(PassLength::backward)) * second, .busy = {}};
  for (std::size_t chunk = 0; chunk < p.chunks.size(); ++chunk) {
    const double both = lengths.of(chunk, PassLength::forward) + lengths.of(chunk, PassLength::backward);
    result.busy.push_back(static_cast<double>(p.micro_batches) * both * second);
  }
  return result;
}

}  // namespace

PipelineProblem pipeline_of(const Parallelism& p, std::int64_t micro_batches) {
  return {.schedule = p.schedule, .stages = p.pp, .chunks_per_stage = chunks_of(p.schedule, p.vpp), .micro_batches = micro_batches,
          .chunks = {}, .transfer = {}};
}

PipelineResult simulate(const PipelineProblem& p) {
  PassGraphs graphs;
  return simulate(p, graphs);
}

PipelineResult simulate(const PipelineProblem& p, PassGraphs& graphs) {
  MOELINE_EXPECT(static_cast<std::int64_t>(p.chunks.size()) == p.stages * p.chunks_per_stage);
  return p.schedule == Schedule::gpipe ? gpipe(p) : in_beats(p, graphs);
}

std::vector<std::vector<TimedPass>> passes_of(const PipelineProblem& p) {
  const PassGraph graph = pass_graph(p.shape());
  const Simulation simulation(p, graph);
  std::vector<std::vector<TimedPass>> stages;
  for (std::int64_t s = 0; s < p.stages; ++s) stages.push_back(simulation.timed(count(s), order_of(p.shape(), s)));
  return stages;
}

}  // namespace moeline
