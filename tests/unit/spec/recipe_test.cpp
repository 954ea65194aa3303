// Recipes as data: which operands each product gets, what a device without block scales makes of them.
#include <catch2/catch.hpp>

#include "error_of.hpp"
#include "spec/catalogue.hpp"
#include "spec/cluster.hpp"
#include "spec/json.hpp"
#include "spec/recipe.hpp"

namespace moeline {
namespace {

Device device(const std::string& name) {
  const Document document = find_hardware(name, "test");
  return read_cluster(document.json, document.origin).device;
}

Recipe legal(const std::string& name, const std::string& hardware, std::vector<std::string>& notes) {
  Recipe recipe = read_recipe(name, "recipe");
  REQUIRE_FALSE(legalise(recipe, device(hardware), notes));
  return recipe;
}

const Product& product(const std::vector<Product>& list, std::string_view layer, std::string_view name) {
  for (const Product& p : list) {
    if (p.layer == layer && p.name == name) return p;
  }
  FAIL("no such product");
  return list.front();
}

}  // namespace

TEST_CASE("an mxfp8 recipe reads every tensor twice, scaled along whichever dimension is summed", "[unit]") {
  const std::vector<Product> list = products(read_recipe("mxfp8", "recipe"));
  CHECK(list.size() == 15);  // fprop, dgrad, wgrad of linear, expert, shared expert, router, head
  CHECK(product(list, "expert", "fprop").right.direction == "rows");
  CHECK(product(list, "expert", "dgrad").right.direction == "columns");
  CHECK(product(list, "expert", "dgrad").left.direction == "rows");
  CHECK(product(list, "expert", "wgrad").left.direction == "columns");
  CHECK(product(list, "expert", "wgrad").right.direction == "columns");
  CHECK(product(list, "expert", "fprop").right.made == "optimizer_step");
  CHECK(product(list, "head", "wgrad").left.format == DType::bf16);
}

TEST_CASE("rows quantised before dispatch cost their wgrad the fast format", "[unit]") {
  const std::vector<Product> list = products(read_recipe("mxfp8_dispatch", "recipe"));
  CHECK(product(list, "expert", "fprop").left.format == DType::mxfp8);
  CHECK(product(list, "expert", "wgrad").right.format == DType::bf16);
  CHECK(product(list, "linear", "wgrad").right.format == DType::mxfp8);
}

TEST_CASE("mxfp8 on Hopper becomes a form it has tensor cores for, and says which", "[unit]") {
  std::vector<std::string> notes;
  CHECK(legal("mxfp8", "h200-sxm", notes).expert == DType::fp8_block);
  REQUIRE(notes.size() == 1);
  CHECK(notes[0].find("mxfp8_folded") != std::string::npos);
  notes.clear();
  CHECK(legal("mxfp8", "b200-sxm", notes).expert == DType::mxfp8);
  CHECK(multiplied(legal("mxfp8_dequant_bf16", "h200-sxm", notes), DType::mxfp8) == DType::bf16);
  CHECK(legal("mxfp8_per32", "h200-sxm", notes).software_block == 32);
  CHECK(notes.empty());
}

TEST_CASE("every named recipe can be read, shown and asked for on Blackwell", "[unit]") {
  for (const std::string& name : recipe_names()) {
    INFO(name);
    std::vector<std::string> notes;
    CHECK(products(legal(name, "b200-sxm", notes)).size() == 15);
    CHECK(notes.empty());
  }
}

}  // namespace moeline
