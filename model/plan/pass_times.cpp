#include "plan/pass_times.hpp"

namespace moeline {

ChunkSum chunk_sum(const StepParts& parts, const ModelSpec& model, const StageContent& chunk) {
  ChunkSum sum;
  for_parts(parts, model, chunk, [&](const PricedPart& part, double times) {
    for (const auto& [pass, priced] : {std::pair{&sum.forward, &part.forward}, std::pair{&sum.backward, &part.backward}}) {
      pass->time += times * priced->time;
      pass->exchange += times * priced->exchange;
      pass->network += times * priced->network;
      pass->weight += times * priced->weight;
    }
  });
  return sum;
}

Pair pair_of(const PassTimes& forward, const PassTimes& backward, double taken) {
  const Seconds compute = forward.compute() + backward.compute(), network = forward.network + backward.network;
  Pair pair;
  pair.contention = min(taken * network, taken / (1 - taken) * compute);
  pair.time = max(compute + pair.contention, network);
  pair.exposed = pair.time - compute - pair.contention;
  return pair;
}

}  // namespace moeline
