// Wrong: the model prints nothing.
#include <iostream>
