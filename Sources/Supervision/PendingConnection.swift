import Bytes
import Linux
