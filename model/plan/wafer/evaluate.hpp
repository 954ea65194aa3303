// One optimiser step, or one layer, on a cluster of wafers.
//
// Every system runs the whole model on its share of the batch; a micro-batch is G tiles of B sequences. All values of G
// worth pricing that fit are priced and the quickest is taken, the smallest among equals. `free`: as in `evaluate`.
#pragma once

#include "plan/evaluate.hpp"

namespace moeline {

// Formats without a path are infeasible; a cut that only GPUs know is ignored aloud.
std::optional<Infeasible> check_wafer_scenario(const Scenario& scenario, std::vector<Warning>& warnings);

std::variant<TrainEvaluation, Infeasible> evaluate_wafer_train(const Scenario& scenario, const TrainWorkload& train,
                                                               std::vector<Warning>& warnings,
                                                               std::vector<std::string_view> free);
std::variant<LayerEvaluation, Infeasible> evaluate_wafer_layer(const Scenario& scenario, const LayerWorkload& layer,
                                                               std::vector<std::string_view> free);

}  // namespace moeline
