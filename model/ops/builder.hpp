// Appends ops in issue order. `add` continues the chain; `beside` starts an op that the chain joins later.
#pragma once

#include "ops/decoder.hpp"

namespace moeline {

class StepBuilder {
 public:
  // The chain goes on after `before`.
  StepBuilder(Phase phase, const Recipe& recipe, const std::optional<Lora>& lora = kTrained, Step before = {})
      : phase_(phase), recipe_(recipe), lora_(lora ? &*lora : nullptr), step_(std::move(before)),
        last_(static_cast<int>(step_.size()) - 1) {
    step_.reserve(kFew);
  }

  // The next op of the chain; collectives and exchanges go to the network lane by themselves.
  void add(std::string_view group, std::string_view name, const Work& work, Part part = Part::other);
  // An op that starts where the chain stands now; the chain waits for it where its index is joined.
  int beside(std::string_view group, std::string_view name, const Work& work, Part part = Part::other);
  void join(int op);  // -1: nothing to wait for

  // A linear layer y[m,n] = x[m,k] w[k,n]: quantisation of what its format needs, then the products.
  struct Linear {
    std::string_view group, name;
    double m, n, k;
    DType type;
    Part part = Part::other;
    bool made = false;  // forward: the input's copies exist already; backward: those of the output's gradient
    bool adapted = true;   // has an adapter, where there are any
    bool frozen = false;   // never gets a gradient of its weight
    bool shares_input = false;  // with a product before it, whose copies of the input serve
  };
  void forward(const Linear& linear);
  void backward(const Linear& linear, DType gradient);

  // A tensor's quantised copies, each followed by the relayout of its scales where the recipe has one; nothing for bf16.
  struct Tensor {
    std::string_view name;      // of the op
    double elements = 0;
    DType type = DType::bf16;
    double read = 2;            // bytes per element that the quantiser reads
    double experts = 0;         // whose rows these are; 0: one tensor
    std::string_view group = "quantise";
  };
  enum class Copies { rows, columns, both };
  void quantise(const Tensor& tensor, Copies copies, Part part = Part::other);
  // Copies of an input in forward, and what backward still has to make of it; both copies of a gradient.
  void quantise_input(const Tensor& tensor, Part part = Part::other);
  void quantise_input_again(const Tensor& tensor);
  void quantise_gradient(const Tensor& tensor);
  // A weight's copy, where it is made every micro-batch, or its expansion to bf16.
  void weight(double elements, DType type, Part part = Part::other);

  void in_moe(bool inside) { in_moe_ = inside; }
  Step take() { return std::move(step_); }

 private:
  void push(std::string_view group, std::string_view name, const Work& work, Part part);

  static constexpr std::size_t kFew = 8;
  static constexpr std::optional<Lora> kTrained{};

  Phase phase_;
  const Recipe& recipe_;
  const Lora* lora_;  // nullptr: the weights themselves are trained
  Step step_;
  bool in_moe_ = false;
  int last_;
  std::vector<int> joined_;  // what the next op waits for beside the chain
};

inline Bytes bf16(double elements) { return bytes(DType::bf16, elements); }

// Norm over `elements`: forward reads and writes once, backward reads the input and the gradient and writes one.
// Two tensors added; with dropout a mask of a byte goes out too, and comes in again in backward.
Elementwise residual(const DecoderContext& context, double elements);
// So many tensors into one.
Elementwise summed(double tensors, double elements);
void residual_backward(StepBuilder& builder, const DecoderContext& context, bool has_bias);
Elementwise norm_forward(double elements);
Elementwise norm_backward(double elements);

// What an adapter adds to a product of `rows` rows with W [out, in].
void adapter_forward(StepBuilder& builder, const Lora& lora, double rows, double out, double in);
void adapter_backward(StepBuilder& builder, const Lora& lora, DType gradient, double rows, double out, double in);
// The same of this rank's experts, `groups` of which have rows.
struct ExpertRows {
  double experts = 0, groups = 0, rows_each = 0;
};
void expert_adapter_forward(StepBuilder& builder, const Lora& lora, const ExpertRows& rows, double out, double in);
void expert_adapter_backward(StepBuilder& builder, const Lora& lora, const ExpertRows& rows, DType gradient, double out, double in);

void attention_forward(StepBuilder& builder, const DecoderContext& context, const Attention& attention);
void attention_backward(StepBuilder& builder, const DecoderContext& context, const Attention& attention);
void ffn_forward(StepBuilder& builder, const DecoderContext& context, const Ffn& ffn);
void ffn_backward(StepBuilder& builder, const DecoderContext& context, const Ffn& ffn);

// Tensor-parallel collectives of a column-parallel input and a row-parallel output; nothing when tp = 1.
// Overlapped ones run beside the chain and return the op to join; else -1.
int gather_tokens(StepBuilder& builder, const DecoderContext& context, double width, bool overlapped);
int scatter_tokens(StepBuilder& builder, const DecoderContext& context, double width, bool overlapped);

}  // namespace moeline
