// GPT-2 and what Megatron-LM trained in its shape: learned positions, LayerNorm, biases, an ungated GELU, dropout.
#include <fmt/format.h>

#include "spec/json.hpp"
#include "spec/llm_families.hpp"
#include "spec/llm_fields.hpp"

namespace moeline {

void read_gpt2(ObjectReader& config, ModelSpec& model) {
  skip_cosmetic(config);
  config.skip_all({"activation_function", "layer_norm_epsilon", "scale_attn_weights", "n_ctx", "summary_type", "summary_use_proj",
                   "summary_activation", "summary_proj_to_labels", "summary_first_dropout", "task_specific_params",
                   "reorder_and_upcast_attn", "scale_attn_by_inverse_layer_idx"});
  read_storage(config, model);
  model.hidden = config.integer("n_embd", kHidden);
  model.vocabulary = config.integer("vocab_size", kVocabulary);
  model.tied_embedding = config.boolean_or("tie_word_embeddings", true);
  model.positions = config.integer("n_positions", {1, 1 << 24});
  for (const char* key : {"resid_pdrop", "attn_pdrop", "embd_pdrop"}) {
    model.dropout |= config.number_or(key, 0, 1, 0.1) > 0;
  }
  GroupedQueryAttention attention;
  attention.heads = attention.kv_heads = config.integer("n_head", kHeads);
  if (model.hidden % attention.heads != 0) {
    config.fail("n_head", fmt::format("{} does not divide n_embd {}", attention.heads, model.hidden));
  }
  attention.head_dim = model.hidden / attention.heads;
  attention.qkv_bias = attention.output_bias = true;
  attention.rotary = false;
  const DenseFfn ffn{config.integer_or("n_inner", kWidth, 4 * model.hidden), false};
  stack_alike(model, static_cast<std::size_t>(config.integer("n_layer", kLayers)), attention, ffn);
  for (LayerKind& kind : model.kinds) kind.norm_parameters = 4 * model.hidden;  // weights and biases of two
}

}  // namespace moeline
