#include "spec/lora.hpp"

#include "spec/json.hpp"

namespace moeline {

Lora read_lora(ObjectReader reader) {
  Lora lora;
  lora.rank = reader.integer_or("rank", {1, 4096}, lora.rank);
  reader.skip_all({"adapters", "targets", "base"});
  if (reader.has("adapters")) {
    lora.adapters = reader.one_of("adapters", {"split", "merged"}) == "split" ? Adapters::split : Adapters::merged;
  }
  if (reader.has("targets")) lora.ffn = reader.one_of("targets", {"all", "attention"}) == "all";
  if (reader.has("base")) lora.base = *dtype_named(reader.one_of("base", {"bf16", "fp8", "mxfp4", "nvfp4"}));
  reader.finish();
  return lora;
}

Json to_json(const Lora& lora) {
  return Json{{"rank", lora.rank},
              {"adapters", lora.adapters == Adapters::split ? "split" : "merged"},
              {"targets", lora.ffn ? "all" : "attention"},
              {"base", name(lora.base)}};
}

}  // namespace moeline
