// Machines and small sums that the anchors are priced with: a carried profile and its calibration, as any scenario's.
#pragma once

#include <string>
#include <vector>

#include "gpu/quantise.hpp"
#include "reports/anchors.hpp"
#include "spec/cluster.hpp"

namespace moeline {

// Owns what a Machine only refers to.
class AnchorMachine {
 public:
  explicit AnchorMachine(const std::string& profile);
  Machine machine() const { return {std::get<Gpu>(cluster_.device), cluster_.fabric, calibration_}; }
  // The same machine with all tensor peaks scaled, as a card of lower clock has them.
  void scale_peaks(double factor);
  double seconds(const Work& work) const { return cost(work, machine()).time.in(second); }

 private:
  Cluster cluster_;
  Calibration calibration_;
};

// y = x w with `rows` rows cut among `groups` weights of [out, in]; forward and backward of TorchAO's grouped products.
struct GroupedLinear {
  double rows = 0, out = 0, in = 0, groups = 1;
};
double torchao_seconds(const GroupedLinear& linear, DType type, const AnchorMachine& machine);

void add_kernel_anchors(std::vector<Anchor>& list);  // scales, quantisers, TorchAO's kernels
void add_te_anchors(std::vector<Anchor>& list);      // Transformer Engine's products on B300 and H200 NVL
void add_layer_anchors(std::vector<Anchor>& list);   // layers: TorchAO, Cursor
void add_decode_anchors(std::vector<Anchor>& list);  // Mega MoE, minibatch rule, warp decode
void add_inference_anchors(std::vector<Anchor>& list);  // loading, experts backends, adapters, speculation
void add_serving_anchors(std::vector<Anchor>& list);    // deployments as published

}  // namespace moeline
