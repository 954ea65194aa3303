#include "plan/training/parts.hpp"

#include <algorithm>

namespace moeline {
namespace {

// make(key, part) for everything that repeats in a step.
template <class Part, class Make>
PartsOf<Part> each_part(const ModelSpec& model, const PartsKey& key, Make make) {
  PartsOf<Part> parts;
  const int kinds = static_cast<int>(model.kinds.size());
  parts.kinds.reserve(model.kinds.size());
  for (int kind = 0; kind < kinds; ++kind) parts.kinds.push_back(make(key, kind));
  if (key.train.recompute_method == RecomputeMethod::block) {
    PartsKey kept = key;
    kept.train.full_recompute = false;
    for (int kind = 0; kind < kinds; ++kind) parts.plain.push_back(make(kept, kind));
  }
  parts.embedding = make(key, kEmbedding);
  parts.mtp = make(key, kMtp);
  parts.head = make(key, kHead);
  return parts;
}

}  // namespace

StepParts step_parts(PassPrices& prices, const PartsKey& key, Detail detail) {
  return each_part<Passes>(prices.model(), key, [&](const PartsKey& asked, int part) {
    return Passes{prices.pass(asked, part, true, detail)->times, prices.pass(asked, part, false, detail)->times};
  });
}

std::vector<Passes> sums_of(const StepParts& parts, const ModelSpec& model, const std::vector<StageContent>& list) {
  std::vector<Passes> sums(list.size());
  for (std::size_t i = 0; i < list.size(); ++i) {
    for_parts(parts, model, list[i], [&](const Passes& part, double times) {
      add(sums[i].forward, part.forward, times);
      add(sums[i].backward, part.backward, times);
    });
  }
  return sums;
}

double recomputed_share(const TrainWorkload& train, const StageContent& chunk) {
  if (train.recompute_method != RecomputeMethod::block) return 1;
  return std::min(1.0, static_cast<double>(train.recompute_layers) / std::max(1.0, static_cast<double>(chunk.layers())));
}

StageRows::StageRows(PassPrices& prices, const PartsKey& key) : model_(prices.model()) {
  const auto placed = [](std::shared_ptr<const PricedPass> pass, Breakdown& names) {
    Placed made{.pass = std::move(pass), .places = {}};
    made.places.reserve(made.pass->rows.size());
    for (const BreakdownRow& row : made.pass->rows) made.places.push_back(names.place(row));
    return made;
  };
  parts_ = each_part<Both>(model_, key, [&](const PartsKey& asked, int part) {
    Placed forward = placed(prices.pass(asked, part, true, Detail::rows), forward_names_);
    return Both{std::move(forward), placed(prices.pass(asked, part, false, Detail::rows), backward_names_)};
  });
}

Breakdown StageRows::of(const StageContent& stage) const {
  Breakdown rows;
  rows.reserve(forward_names_.rows().size() + backward_names_.rows().size() + 1);  // and contention
  for (const bool forward : {true, false}) add_to(rows, stage, forward);
  return rows;
}

void StageRows::add_to(Breakdown& rows, const StageContent& stage, bool forward) const {
  const std::size_t first = rows.append(forward ? forward_names_ : backward_names_);
  for_parts(parts_, model_, stage, [&](const Both& part, double count) {
    const auto& [pass, places] = forward ? part.forward : part.backward;
    for (std::size_t i = 0; i < places.size(); ++i) rows.add_at(first + places[i], pass->rows[i], count);
  });
  rows.drop_empty(first);
}

}  // namespace moeline
