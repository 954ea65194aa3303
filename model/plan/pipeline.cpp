#include "plan/pipeline.hpp"

#include <algorithm>
#include <limits>

#include "error.hpp"

namespace moeline {
namespace {

struct Pass {
  std::int32_t micro_batch;
  std::int16_t chunk;  // on its stage: 0 .. chunks_per_stage-1
  bool backward;
};

std::int64_t warm_up(const PipelineProblem& p, std::int64_t stage) {
  const std::int64_t all = p.micro_batches * p.chunks_per_stage;
  if (p.schedule == Schedule::gpipe) return all;
  if (p.chunks_per_stage == 1) return std::min(all, p.stages - stage - 1);
  return std::min(all, 2 * (p.stages - stage - 1) + (p.chunks_per_stage - 1) * p.stages);
}

// Forward order of one stage: groups of `stages` micro-batches, within a group chunk after chunk.
std::vector<Pass> forward_order(const PipelineProblem& p) {
  std::vector<Pass> order;
  order.reserve(static_cast<std::size_t>(p.micro_batches * p.chunks_per_stage));
  for (std::int64_t begin = 0; begin < p.micro_batches; begin += p.stages) {
    const std::int64_t end = std::min(begin + p.stages, p.micro_batches);
    for (std::int64_t chunk = 0; chunk < p.chunks_per_stage; ++chunk) {
      for (std::int64_t m = begin; m < end; ++m) {
        order.push_back({static_cast<std::int32_t>(m), static_cast<std::int16_t>(chunk), false});
      }
    }
  }
  return order;
}

std::vector<Pass> stage_order(const PipelineProblem& p, std::int64_t stage, const std::vector<Pass>& forwards) {
  const auto backward_of = [&](Pass pass) {
    pass.chunk = static_cast<std::int16_t>(p.chunks_per_stage - 1 - pass.chunk);
    pass.backward = true;
    return pass;
  };
  std::vector<Pass> order;
  order.reserve(2 * forwards.size());
  const auto lead = static_cast<std::size_t>(warm_up(p, stage));
  for (std::size_t i = 0; i < lead; ++i) order.push_back(forwards[i]);
  for (std::size_t i = lead; i < forwards.size(); ++i) {
    order.push_back(forwards[i]);
    order.push_back(backward_of(forwards[i - lead]));
  }
  for (std::size_t i = forwards.size() - lead; i < forwards.size(); ++i) order.push_back(backward_of(forwards[i]));
  return order;
}

class Simulation {
 public:
  explicit Simulation(const PipelineProblem& p)
      : p_(p), done_(2 * p.chunks.size() * static_cast<std::size_t>(p.micro_batches), kNever) {
    const std::vector<Pass> forwards = forward_order(p);
    for (std::int64_t stage = 0; stage < p.stages; ++stage) orders_.push_back(stage_order(p, stage, forwards));
  }

  PipelineResult run() {
    PipelineResult result;
    result.busy.resize(orders_.size());
    std::vector<std::size_t> next(orders_.size());
    std::vector<double> clock(orders_.size());
    bool moved = true;
    while (moved) {  // sweep the stages, running whatever has its input
      moved = false;
      for (std::size_t stage = 0; stage < orders_.size(); ++stage) {
        while (next[stage] < orders_[stage].size()) {
          const Pass& pass = orders_[stage][next[stage]];
          const double ready = input_ready(static_cast<std::int64_t>(stage), pass);
          if (ready == kNever) break;
          const double length = duration(static_cast<std::int64_t>(stage), pass);
          clock[stage] = std::max(clock[stage], ready) + length;
          result.busy[stage] += length * second;
          at(global_chunk(static_cast<std::int64_t>(stage), pass), pass) = clock[stage];
          ++next[stage];
          moved = true;
        }
      }
    }
    for (std::size_t stage = 0; stage < orders_.size(); ++stage) {
      MOELINE_EXPECT(next[stage] == orders_[stage].size());  // schedules here cannot deadlock for m >= stages or v = 1
      result.makespan = max(result.makespan, clock[stage] * second);
    }
    return result;
  }

 private:
  static constexpr double kNever = std::numeric_limits<double>::infinity();

  std::int64_t global_chunk(std::int64_t stage, const Pass& pass) const { return pass.chunk * p_.stages + stage; }
  double& at(std::int64_t chunk, const Pass& pass) {
    const auto pass_index = static_cast<std::size_t>(chunk * 2 + (pass.backward ? 1 : 0));
    return done_[pass_index * static_cast<std::size_t>(p_.micro_batches) + static_cast<std::size_t>(pass.micro_batch)];
  }

  bool crosses(std::int64_t from, std::int64_t to) const { return from % p_.stages != to % p_.stages; }

  double input_ready(std::int64_t stage, const Pass& pass) {
    const std::int64_t chunk = global_chunk(stage, pass), last = static_cast<std::int64_t>(p_.chunks.size()) - 1;
    std::int64_t from = pass.backward ? chunk + 1 : chunk - 1;
    if (from < 0) return 0;
    Pass producer = pass;
    if (from > last) {  // backward of the last chunk follows its own forward
      from = last;
      producer.backward = false;
    }
    const double finished = at(from, producer);
    const bool waits = !p_.transfer_occupies && crosses(from, chunk);
    return waits ? finished + p_.transfer.in(second) : finished;
  }

  double duration(std::int64_t stage, const Pass& pass) const {
    const std::int64_t chunk = global_chunk(stage, pass), last = static_cast<std::int64_t>(p_.chunks.size()) - 1;
    const ChunkTimes& times = p_.chunks[static_cast<std::size_t>(chunk)];
    const std::int64_t to = pass.backward ? chunk - 1 : chunk + 1;
    const bool sends = p_.transfer_occupies && to >= 0 && to <= last && crosses(chunk, to);
    return (pass.backward ? times.backward : times.forward).in(second) + (sends ? p_.transfer.in(second) : 0);
  }

  const PipelineProblem& p_;
  std::vector<std::vector<Pass>> orders_;
  std::vector<double> done_;
};

}  // namespace

PipelineResult simulate(const PipelineProblem& problem) {
  MOELINE_EXPECT(static_cast<std::int64_t>(problem.chunks.size()) == problem.stages * problem.chunks_per_stage);
  return Simulation(problem).run();
}

double chunks_in_flight(const PipelineProblem& p, std::int64_t stage) {
  const std::int64_t all = p.micro_batches * p.chunks_per_stage;
  return static_cast<double>(std::min(all, warm_up(p, stage) + 1));
}

}  // namespace moeline
