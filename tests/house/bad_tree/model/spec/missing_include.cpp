// Wrong: no such file.
#include "spec/missing.hpp"
